"""The commands about this command line itself: where it asks, and completion in the shell."""

import platform
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.shell_completion import get_completion_class

from ..errors import RequestError
from . import completing, contexts
from .client import Client, Place
from .common import examples, json_option, print_json

#: The variable by which a shell's completion calls this program.
COMPLETE = "_FIELDCONF_COMPLETE"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command(
    epilog=examples(
        "fieldconf login https://gateway:8700 --ca gateway.pem",
        "fieldconf login https://gateway:8700 --user anna --name home",
    )
)
@click.argument("url")
@click.option("--name", help="Name of the context. [default: the host's]")
@click.option("--user", help="Ask for this user's password, and make a token with it.")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FIELDCONF_CA",
    help="PEM file of certificates to trust (or FIELDCONF_CA).",
)
@click.option("--token", envvar="FIELDCONF_TOKEN", hidden=True, help="From FIELDCONF_TOKEN.")
def login(url: str, name: str | None, user: str | None, ca: Path | None, token: str | None) -> None:
    """Use the coordinator at URL from now on.

    Asks for a token, unless FIELDCONF_TOKEN holds it. It is kept in a file that only you can read;
    'fieldconf context local' leads back to the coordinator on this box.
    """
    place = Place(url.rstrip("/"), ca=contexts.read_ca(ca))
    with Client(place) as client:  # where nobody answers is told before anything is asked
        client.get("/session")
    name = name or str(urlsplit(url).hostname)
    if name == contexts.LOCAL or "://" in name:
        raise click.UsageError(f"a context cannot be called {name!r}; choose another --name")
    if place.url.startswith("http:") and urlsplit(url).hostname not in _LOOPBACK:
        click.echo("warning: without TLS everybody on the way can read the token", err=True)
    if user is not None:
        token = _made(place, user, click.prompt("Password", hide_input=True, err=True))
    elif not token:
        token = click.prompt("Token", hide_input=True, err=True)
    place = Place(place.url, token.strip(), place.ca)
    with Client(place) as client:
        client.get("/status")
        who = client.get("/session")
    saved = contexts.load()
    saved.known[name] = {"url": place.url, "token": place.token, "ca": place.ca}
    saved.current = name
    contexts.save(saved)
    click.echo(f"{name}: {place.url}, as {who['user']} ({who['role']})")


def _made(place: Place, user: str, password: str) -> str:
    """Return a new token of a user."""
    with Client(place) as client:
        answer = client.log_in(user, password)
        named = {"name": f"fieldconf on {platform.node()}"[:64]}
        token = str(client.post("/tokens", named, answer)["token"])
        client.log_out(answer)
    return token


@click.command(
    epilog=examples("fieldconf context", "fieldconf context home", "fieldconf context local")
)
@click.argument("name", required=False, shell_complete=completing.contexts)
@click.option("--forget", is_flag=True, help="Forget NAME and its token.")
@json_option
def context(name: str | None, forget: bool, as_json: bool) -> None:
    """List the coordinators that you logged in to, or choose one.

    The one that is marked is asked when neither --server nor --data says otherwise.
    """
    saved = contexts.load()
    if name is None:
        if forget:
            raise click.UsageError("say which one to forget")
        _list(saved, as_json)
        return
    if name != contexts.LOCAL:
        saved.place(name)
    if forget:
        saved.known.pop(name, None)
        saved.current = contexts.LOCAL if saved.current == name else saved.current
    else:
        saved.current = name
    contexts.save(saved)
    _list(saved, as_json)


def _list(saved: contexts.Contexts, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [{"name": contexts.LOCAL, "url": None}]
    rows += [{"name": name, "url": saved.known[name]["url"]} for name in sorted(saved.known)]
    if as_json:
        print_json([{**row, "current": row["name"] == saved.current} for row in rows])
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        mark = "*" if row["name"] == saved.current else " "
        where = row["url"] or "the coordinator of the data folder on this box"
        click.echo(f"{mark} {row['name']:<{width}}  {where}")


@click.command(
    epilog=examples(
        "fieldconf completion bash >> ~/.bashrc",
        "fieldconf completion zsh >> ~/.zshrc",
        "fieldconf completion fish > ~/.config/fish/completions/fieldconf.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes the SHELL complete commands and names.

    In ~/.zshrc it belongs below the line that runs compinit.
    """
    found = get_completion_class(shell)
    if found is None:
        raise RequestError("no-completion", f"there is no completion for {shell}")
    program = click.get_current_context().find_root().command
    click.echo(found(program, {}, "fieldconf", COMPLETE).source())


COMMANDS = (login, context, completion)
