"""The command ``preview``: what a step would change on its node, asked of the installer there."""

import time
from collections.abc import Iterator

import click

from fieldconf_microagent.recipe import STEPS

from . import completing
from .common import app_option, examples, remote_option, the_app
from .remote import Remote, Row

_LOOK_S = 0.3
#: The last line of every preview in the log.
_END = "preview: "
_REFUSAL = "answers preview with "


@click.command(
    epilog=examples(
        "fieldconf preview /vm1/web                 what the next step would change",
        "fieldconf preview /vm1/web --step update   what an update would change",
    )
)
@click.argument("path", shell_complete=completing.paths)
@click.option("--step", type=click.Choice(STEPS), help="Another step than the next one.")
@click.option(
    "--timeout", type=click.FloatRange(0), default=120.0, help="Give up after so many seconds."
)
@app_option
@remote_option
def preview(path: str, step: str | None, timeout: float, app: str | None, remote: Remote) -> int:
    """Show what a step at PATH would change, and change nothing.

    Recipes of Puppet and Ansible can tell. Of a started instance it is what has drifted since.
    """
    app = the_app(remote, app)
    path = remote.instance(app, path)["path"]
    before = _said(remote, app, path)
    answer = remote.preview(app, path, step)
    if answer["offline"]:
        click.echo(f"node {answer['offline'][0]} is offline", err=True)
        return 1
    for text in _new_texts(remote, app, path, before, time.monotonic() + timeout):
        if text.startswith((_END, _REFUSAL)):
            click.echo(text, err=True)
            return 0 if text.startswith(_END + "done") else 1
        click.echo(text)
    click.echo(f"nothing was heard of it in {timeout:g} s; see 'fieldconf logs {path}'", err=True)
    return 1


def _new_texts(
    remote: Remote, app: str, path: str, before: set[tuple[float, str]], deadline: float
) -> Iterator[str]:
    """Yield what is said of the preview, line by line, until the deadline."""
    while time.monotonic() < deadline:
        for one in sorted(_said(remote, app, path) - before):
            before.add(one)
            yield from one[1].splitlines()
        time.sleep(_LOOK_S)


def _said(remote: Remote, app: str, path: str) -> set[tuple[float, str]]:
    """Return the time and text of what previews printed, and of why there were none."""
    printed = [line for line in remote.logs(app, path) if line["step"].startswith("preview ")]
    node = "/" + path.split("/")[1]
    refused = [event for event in remote.events(app, node) if _REFUSAL in event["text"]]
    return {_when_and_what(row) for row in [*printed, *refused]}


def _when_and_what(row: Row) -> tuple[float, str]:
    head, mark, rest = row["text"].partition(_REFUSAL)
    return row["at"], mark + rest if mark else head


COMMANDS = (preview,)
