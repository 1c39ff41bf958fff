"""The commands that show what there is; they ask a coordinator over REST."""

import re
import shutil
import time
from collections.abc import Mapping, Set
from typing import Any

import click

from fieldconf_microagent import states

from ..errors import RequestError
from . import completing
from .client import PASSING
from .common import (
    CUT,
    app_option,
    by_number,
    examples,
    instance_rows,
    is_terminal,
    json_option,
    print_json,
    remote_option,
    table,
    the_app,
)
from .remote import Remote
from .watching import Watcher

# Broker and disk are not in the stream.
_LONGEST_WAIT_S = 10.0
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
# Of the time, what asking may take.
_SHARE = 5
_CLEAR = "\033[H\033[2J"
# Shells begin their messages with the path of the script.
_RECIPE_DIR = re.compile(r"/\S*/recipes/[0-9a-f]{64}/")


@click.command(
    epilog=examples("fieldconf status", "fieldconf status shop --json", "fieldconf status --watch")
)
@click.argument("name", metavar="[APP]", required=False, shell_complete=completing.applications)
@app_option
@click.option("--watch", is_flag=True, help="Show it again whenever something changes.")
@json_option
@remote_option
def status(name: str | None, app: str | None, watch: bool, as_json: bool, remote: Remote) -> None:
    """Show applications, their instances, and what is wrong."""
    if name and app and name != app:
        raise click.UsageError(f"{name} or {app}? Name one application, or none for all")
    app = name or app
    if app and "/" in app:
        hint = f"'fieldconf why {app}' and 'fieldconf events {app}' tell of one instance"
        raise click.UsageError(f"{app} is a path, and status shows whole applications; {hint}")
    screen = _Screen(as_json, watch)
    told = remote.status(app)
    screen.show(told)
    if watch:
        # The stream knows applications by name; they may be asked for by their id.
        name = None if app is None else told["applications"][0]["name"]
        _watch(remote, app, screen, Watcher(remote.client, name))


class _Screen:
    """Where the status is shown, again if it has changed."""

    def __init__(self, as_json: bool, watch: bool) -> None:
        self._as_json = as_json
        self._is_live = watch and is_terminal()
        self._shown: Any = None

    def show(self, told: Any) -> None:
        if told == self._shown:
            return
        if self._shown is not None and is_terminal():
            click.echo(_CLEAR, nl=False)
        self._shown = told
        if self._as_json:
            print_json(told)
        else:
            click.echo(told.get("gone") or _status_text(told, self._is_live))

    def lost(self, error: RequestError) -> None:
        """Tell that nobody answers: who watches wants to see it come back.

        Raises:
            RequestError: it will not come back by itself, or programs have to know.
        """
        if self._as_json or error.code not in PASSING:
            raise error
        self.show({"gone": f"{error.message}; waiting for the next one"})


def _watch(remote: Remote, app: str | None, screen: _Screen, watcher: Watcher) -> None:
    """Show the status again whenever it has changed, without end."""
    while True:
        watcher.wait(_LONGEST_WAIT_S)
        began = time.monotonic()
        try:
            screen.show(remote.status(app))
        except RequestError as error:
            screen.lost(error)
        time.sleep(min(_LONGEST_PAUSE_S, max(_PAUSE_S, _SHARE * (time.monotonic() - began))))


def _status_text(told: dict[str, Any], is_screen: bool = False) -> str:
    """Return all there is to tell; for a screen that is too low, without what is well."""
    parts = []
    count = sum(len(app["instances"]) + 3 for app in told["applications"])
    is_long = is_screen and count > shutil.get_terminal_size().lines - 1
    for app in told["applications"]:
        head = f"{app['name']} ({app['template']} {app['version']})"
        head += ", simulated: no recipe runs" if app.get("simulate") else ""
        rows = instance_rows(app)
        odd = [row for row in rows if row[1] != states.STARTED or row[3]] if is_long else rows
        lines = table(("instance", "state", "address", ""), [*odd]).split("\n")
        shown = zip(odd, lines[1:], strict=True)
        cut = {row[0] for row, line in shown if click.unstyle(line).endswith(CUT)}
        if len(odd) < len(rows):
            lines.append(f"{len(rows) - len(odd)} more are {states.STARTED}")
        hint = _whole_hint(app, cut, len(told["applications"]) > 1)
        parts.append("\n".join([head, *lines, *hint]))
    nodes = [node for node in told["nodes"] if node.get("duplicate") or node.get("refused")]
    for node in nodes:
        what = "duplicate identity" if node.get("duplicate") else f"refused: {node['refused']}"
        parts.append(f"node {node['id']}: {what}")
    if not told["broker"]["connected"]:
        parts.append(f"no connection to the broker {told['broker']['url']}")
    if told.get("disk"):
        parts.append(f"nothing can be changed: {told['disk']}")
    return "\n\n".join(parts) or "no applications; deploy one with 'fieldconf deploy DIR'"


def _whole_hint(app: Mapping[str, Any], cut: Set[str], is_one_of_several: bool) -> list[str]:
    """Return where the problems stand of which a table shows a part only."""
    problems = {i["path"]: i["problem"] for i in app["instances"] if i["problem"]}
    long = {path for path, one in problems.items() if len(one["text"].strip().splitlines()) > 1}
    found = sorted(cut | long, key=by_number)
    if not found:
        return []
    path = f"'{found[0]}'" if " " in found[0] else found[0]
    command = f"fieldconf why {path}" + (f" --app {app['name']}" if is_one_of_several else "")
    count = "" if len(found) == 1 else f" ({len(found)} are cut short here)"
    return [f"in full: {command}{count}"]


def clock(at_ms: int) -> str:
    """Return a time for people: of today without the date."""
    then, today = time.localtime(at_ms / 1000), time.localtime()
    form = "%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M"
    return time.strftime(form, then)


@click.command(epilog=examples("fieldconf why /balancer-vm/balancer"))
@click.argument("path", shell_complete=completing.paths)
@app_option
@json_option
@remote_option
def why(path: str, app: str | None, as_json: bool, remote: Remote) -> None:
    """Tell why PATH is not as it is wished to be."""
    reasons = remote.why(app=the_app(remote, app), path=path)
    if as_json:
        print_json(reasons)
    elif not reasons:
        click.echo(f"{path} is as it is wished to be")
    for depth, reason in enumerate(() if as_json else reasons):
        text = f"{reason['path']} {reason['text']}"
        click.echo("  " * depth + text.replace("\n", "\n" + "  " * (depth + 2)))


@click.command(epilog=examples("fieldconf logs /web-vm1/web"))
@click.argument("path", metavar="[PATH|APP]", required=False, shell_complete=completing.paths)
@app_option
@json_option
@remote_option
def logs(path: str | None, app: str | None, as_json: bool, remote: Remote) -> None:
    """Print what scripts printed lately.

    With PATH only those of that instance. It is kept in memory, and arrives every second.
    """
    app, path = _all_of(remote, app, path)
    lines = remote.logs(app=the_app(remote, app), path=path)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        where = f"{line['path']} {line['step']}" if path is None else line["step"]
        head = f"{clock(line['at'])} {where}: "
        text = _RECIPE_DIR.sub("", line["text"])
        click.echo(head + text.rstrip("\n").replace("\n", "\n" + head))
    if not lines:
        click.echo("nothing was printed since the coordinator started", err=True)


def _all_of(remote: Remote, app: str | None, path: str | None) -> tuple[str | None, str | None]:
    """Return application and path; the name of an application alone means all of it."""
    if path is not None and app is None and "/" not in path and path in remote.names():
        return path, None
    return app, path


@click.command(epilog=examples("fieldconf events --app shop", "fieldconf events /web-vm1"))
@click.argument("path", metavar="[PATH|APP]", required=False, shell_complete=completing.paths)
@app_option
@json_option
@remote_option
def events(path: str | None, app: str | None, as_json: bool, remote: Remote) -> None:
    """Print what happened lately: all, or at PATH and below."""
    app, path = _all_of(remote, app, path)
    if path is not None:
        app = the_app(remote, app)
    found = remote.events(app, path)
    if as_json:
        print_json(found)
        return
    for event in found:
        stamp = clock(event["at"])
        where = " ".join(word for word in (event["application"], event["path"]) if word)
        text = f"{stamp} {where}: {event['text']}" if where else f"{stamp} {event['text']}"
        click.echo(text.rstrip("\n").replace("\n", "\n" + " " * (len(stamp) + 1)))
    if not found:
        click.echo("nothing happened there lately", err=True)


COMMANDS = (status, why, logs, events)
