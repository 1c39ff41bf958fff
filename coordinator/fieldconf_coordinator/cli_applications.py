"""The commands about applications: they ask the coordinator that runs on the data folder."""

import re
import shutil
import time
from pathlib import Path
from typing import Any

import click

from fieldconf_microagent import states

from .cli_common import (
    app_option,
    data_option,
    examples,
    finish,
    force_option,
    instance_rows,
    is_terminal,
    json_option,
    print_json,
    table,
    the_app,
    wait_option,
)
from .control import RequestError, ask

_WATCH_S = 0.5
_CLEAR = "\033[H\033[2J"
# Shells begin their messages with the path of the script.
_RECIPE_DIR = re.compile(r"/\S*/recipes/[0-9a-f]{64}/")


@click.command(
    epilog=examples(
        "fieldconf deploy examples/web-cluster",
        "fieldconf deploy shop.zip --name shop-test --no-wait",
    )
)
@click.argument("template", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the application. [default: the template's]")
@click.option("--target", help="Where its nodes come from, such as local or memory.")
@wait_option
@json_option
@data_option
def deploy(
    template: Path,
    name: str | None,
    target: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    data: Path,
) -> int:
    """Deploy the TEMPLATE, a folder or a ZIP.

    If there is an application of that name, it is changed to what the template says.
    """
    answer = ask(data, "deploy", path=str(template.absolute()), name=name, target=target)
    if as_json:
        print_json(answer)
        return 0
    for warning in answer["warnings"]:
        click.echo(warning["text"], err=True)
    return finish(data, answer, wait, timeout)


@click.command(
    epilog=examples("fieldconf status", "fieldconf status shop --json", "fieldconf status --watch")
)
@click.argument("app", required=False)
@click.option("--watch", is_flag=True, help="Show it again whenever something changes.")
@json_option
@data_option
def status(app: str | None, watch: bool, as_json: bool, data: Path) -> None:
    """Show applications, their instances, and what is wrong."""
    shown = None
    while True:
        try:
            told = ask(data, "status", app=app)
        except RequestError as error:
            # Who watches wants to see it come back.
            if shown is None or as_json or error.code != "not-running":
                raise
            told = {"gone": f"{error.message}; waiting for the next one"}
        if told != shown:
            if shown is not None and is_terminal():
                click.echo(_CLEAR, nl=False)
            shown = told
            if as_json:
                print_json(told)
            else:
                click.echo(told.get("gone") or _status_text(told, watch and is_terminal()))
        if not watch:
            return
        time.sleep(_WATCH_S)


def _status_text(told: dict[str, Any], is_screen: bool = False) -> str:
    """Return all there is to tell; for a screen that is too low, without what is well."""
    parts = []
    count = sum(len(app["instances"]) + 3 for app in told["applications"])
    is_long = is_screen and count > shutil.get_terminal_size().lines - 1
    for app in told["applications"]:
        head = f"{app['name']} ({app['template']} {app['version']})"
        rows = instance_rows(app)
        odd = [row for row in rows if row[1] != states.STARTED or row[3]] if is_long else rows
        text = head + "\n" + table(("instance", "state", "address", ""), [*odd])
        if len(odd) < len(rows):
            text += f"\n{len(rows) - len(odd)} more are {states.STARTED}"
        parts.append(text)
    nodes = [node for node in told["nodes"] if node.get("duplicate") or node.get("refused")]
    for node in nodes:
        what = "duplicate identity" if node.get("duplicate") else f"refused: {node['refused']}"
        parts.append(f"node {node['id']}: {what}")
    if not told["broker"]["connected"]:
        parts.append(f"no connection to the broker {told['broker']['url']}")
    if told.get("disk"):
        parts.append(f"nothing can be changed: {told['disk']}")
    return "\n\n".join(parts) or "no applications; deploy one with 'fieldconf deploy DIR'"


def _wish_command(name: str, wish: str, text: str, *lines: str) -> click.Command:
    @click.command(name, help=text, epilog=examples(*lines))
    @click.argument("path", required=False)
    @app_option
    @wait_option
    @json_option
    @data_option
    def command(
        path: str | None,
        app: str | None,
        wait: bool,
        timeout: float | None,
        as_json: bool,
        data: Path,
        force: bool = False,
    ) -> int:
        name = the_app(data, app)
        answer = ask(data, "wish", app=name, path=path, wish=wish, force=force)
        if as_json:
            print_json(answer)
            return 0
        return finish(data, answer, wait, timeout)

    return command


start = _wish_command(
    "start",
    states.STARTED,
    "Start the instance at PATH, or all of them.",
    "fieldconf start /data-vm/data",
)
stop = _wish_command(
    "stop",
    states.STOPPED,
    "Stop the instance at PATH, or all of them.\n\nWhat lies below stops, and returns with it.",
    "fieldconf stop /data-vm/data",
)
undeploy = force_option(
    _wish_command(
        "undeploy",
        states.NOT_DEPLOYED,
        "Undeploy the instance at PATH, or all of them.\n\nNodes that become empty are given back.",
        "fieldconf undeploy",
        "fieldconf undeploy /web-vm2",
    )
)


@click.command(epilog=examples("fieldconf scale /web-vm 5"))
@click.argument("root")
@click.argument("count", type=click.IntRange(0))
@app_option
@wait_option
@json_option
@data_option
def scale(
    root: str,
    count: int,
    app: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    data: Path,
) -> int:
    """Have COUNT copies of the root instance ROOT.

    Each is a copy with all that lies in it: /web-vm1, /web-vm2 and so on.
    """
    answer = ask(data, "scale", app=the_app(data, app), path=root, count=count)
    if as_json:
        print_json(answer)
        return 0
    return finish(data, answer, wait, timeout)


@click.command(epilog=examples("fieldconf remove /web-vm3"))
@click.argument("path")
@app_option
@force_option
@wait_option
@json_option
@data_option
def remove(
    path: str,
    app: str | None,
    force: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    data: Path,
) -> int:
    """Undeploy PATH and take it out for good."""
    answer = ask(data, "remove", app=the_app(data, app), path=path, force=force)
    if as_json:
        print_json(answer)
        return 0
    return finish(data, answer, wait, timeout)


@click.command(epilog=examples("fieldconf undeploy --app shop && fieldconf delete shop"))
@click.argument("app")
@json_option
@data_option
def delete(app: str, as_json: bool, data: Path) -> None:
    """Forget an application of which nothing is deployed."""
    answer = ask(data, "delete", app=app)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{app} is forgotten")


@click.command(epilog=examples("fieldconf why /balancer-vm/balancer"))
@click.argument("path")
@app_option
@json_option
@data_option
def why(path: str, app: str | None, as_json: bool, data: Path) -> None:
    """Tell why PATH is not as it is wished to be."""
    reasons = ask(data, "why", app=the_app(data, app), path=path)
    if as_json:
        print_json(reasons)
    elif not reasons:
        click.echo(f"{path} is as it is wished to be")
    for depth, reason in enumerate(() if as_json else reasons):
        click.echo(f"{'  ' * depth}{reason['path']} {reason['text']}")


@click.command(epilog=examples("fieldconf logs /web-vm1/web"))
@click.argument("path", required=False)
@app_option
@json_option
@data_option
def logs(path: str | None, app: str | None, as_json: bool, data: Path) -> None:
    """Print what scripts printed lately.

    With PATH only those of that instance. It is kept in memory, and arrives every second.
    """
    lines = ask(data, "logs", app=the_app(data, app), path=path)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        where = f"{line['path']} {line['step']}" if path is None else line["step"]
        head = f"{_clock(line['at'])} {where}: "
        text = _RECIPE_DIR.sub("", line["text"])
        click.echo(head + text.rstrip("\n").replace("\n", "\n" + head))
    if not lines:
        click.echo("nothing was printed since the coordinator started", err=True)


@click.command(epilog=examples("fieldconf events --app shop"))
@app_option
@json_option
@data_option
def events(app: str | None, as_json: bool, data: Path) -> None:
    """Print what happened lately."""
    found = ask(data, "events", app=app)
    if as_json:
        print_json(found)
        return
    for event in found:
        stamp = _clock(event["at"])
        where = " ".join(word for word in (event["application"], event["path"]) if word)
        click.echo(f"{stamp} {where}: {event['text']}" if where else f"{stamp} {event['text']}")


def _clock(at_ms: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))


def _path_command(name: str, text: str, line: str, needs_path: bool) -> click.Command:
    @click.command(name, help=text, epilog=examples(line))
    @click.argument("path", required=needs_path)
    @app_option
    @json_option
    @data_option
    def command(path: str | None, app: str | None, as_json: bool, data: Path) -> None:
        answer = ask(data, name, app=the_app(data, app), path=path)
        if as_json:
            print_json(answer)
        else:
            click.echo("done")

    return command


retry = _path_command(
    "retry", "Try again at once what failed, at PATH or anywhere.", "fieldconf retry", False
)
cancel = _path_command(
    "cancel", "End the step that runs at PATH.", "fieldconf cancel /web-vm1/web", True
)

COMMANDS = (
    deploy,
    status,
    start,
    stop,
    undeploy,
    scale,
    remove,
    delete,
    why,
    logs,
    events,
    retry,
    cancel,
)
