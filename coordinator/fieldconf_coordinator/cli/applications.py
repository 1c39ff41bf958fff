"""The commands that change applications; they ask a coordinator over REST."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fieldconf_microagent import states

from . import completing
from .common import (
    app_option,
    examples,
    force_option,
    json_option,
    print_json,
    remote_option,
    tell_problems,
    the_app,
    wait_option,
)
from .foreseeing import dry_run_option, foretell
from .remote import Remote
from .waiting import finish, tell_reasons

_MOST_WARNINGS = 10

_target_option = click.option(
    "--target", help="Where its nodes come from, such as local or memory."
)
_simulate_option = click.option(
    "--simulate", is_flag=True, help="Run no step of any recipe; write down what it would be told."
)


@click.command(
    epilog=examples(
        "fieldconf deploy examples/web-cluster",
        "fieldconf deploy shop.zip --name shop-test --no-wait",
        "fieldconf deploy shop --name rehearsal --simulate",
    )
)
@click.argument("template", type=click.Path(path_type=Path))
@click.option(
    "--name",
    shell_complete=completing.applications,
    help="Name of the application. [default: the template's]",
)
@_target_option
@_simulate_option
@wait_option
@json_option
@remote_option
def deploy(
    template: Path,
    name: str | None,
    target: str | None,
    simulate: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    remote: Remote,
) -> int:
    """Deploy the TEMPLATE, a folder or a ZIP.

    If there is an application of that name, it is changed to what the template says.
    """
    answer = remote.deploy(template, name, target, simulate)
    if not as_json:
        _warn(answer["warnings"], template)
    return finish(remote, answer, wait, timeout, as_json)


def _warn(odd: Sequence[Mapping[str, Any]], template: Path) -> None:
    """Tell what is odd about a template, but not so much that the rest is not seen."""
    tell_problems(odd[:_MOST_WARNINGS])
    if len(odd) > _MOST_WARNINGS:
        more = len(odd) - _MOST_WARNINGS
        click.echo(f"{more} more warnings; 'fieldconf check {template}' tells them", err=True)


@click.command(epilog=examples("fieldconf plan shop", "fieldconf plan shop --name shop-test"))
@click.argument("template", type=click.Path(path_type=Path))
@click.option(
    "--name",
    shell_complete=completing.applications,
    help="Name of the application. [default: the template's]",
)
@_target_option
@_simulate_option
@json_option
@remote_option
def plan(
    template: Path,
    name: str | None,
    target: str | None,
    simulate: bool,
    as_json: bool,
    remote: Remote,
) -> None:
    """Tell what deploying the TEMPLATE would change; change nothing."""
    found = remote.plan(template, name, target, simulate)
    if as_json:
        print_json(found)
        return
    _warn(found["warnings"], template)
    for line in _plan_lines(found):
        click.echo(line)


# What a plan lists: key, mark, word, color.
_PLANNED = (
    ("add", "+", "added", "green"),
    ("remove", "-", "removed", "red"),
    ("upgrade", "^", "upgraded", "yellow"),
    ("change", "~", "changed", "yellow"),
)


def _plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a plan says, for people."""
    is_new = " is new" if plan["new"] else ""
    yield f"{plan['application']} ({plan['template']} {plan['version']}){is_new}"
    for key, mark, word, color in _PLANNED:
        for path in plan[key]:
            yield click.style(f"  {mark} {path} is {word}", fg=color)
    counts = [f"{len(plan[key])} {word}" for key, _, word, _ in _PLANNED if plan[key]]
    yield ", ".join(counts) or "nothing changes"


def _wish_command(name: str, wish: str, text: str, *lines: str) -> click.Command:
    @click.command(name, help=text, epilog=examples(*lines))
    @click.argument("path", required=False, shell_complete=completing.paths)
    @app_option
    @dry_run_option
    @wait_option
    @json_option
    @remote_option
    def command(
        path: str | None,
        app: str | None,
        dry_run: bool,
        wait: bool,
        timeout: float | None,
        as_json: bool,
        remote: Remote,
        force: bool = False,
    ) -> int:
        chosen = the_app(remote, app)
        if dry_run:
            return foretell(remote, chosen, name, path, as_json)
        answer = remote.wish(app=chosen, path=path, wish=wish, force=force)
        status = finish(remote, answer, wait, timeout, as_json)
        if status or not wait or path is None or wish != states.STARTED:
            return status
        # What lies above may be wished otherwise; then it is done, and nothing runs.
        return 1 if tell_reasons(remote, chosen, [path]) else 0

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
        "fieldconf undeploy /data-vm --dry-run",
    )
)


@click.command(epilog=examples("fieldconf scale /web-vm 5"))
@click.argument("root", shell_complete=completing.paths)
@click.argument("count", type=click.IntRange(1, 20_000))
@app_option
@dry_run_option
@wait_option
@json_option
@remote_option
def scale(
    root: str,
    count: int,
    app: str | None,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    remote: Remote,
) -> int:
    """Have COUNT deployed copies of the root instance ROOT.

    Each is a copy with all that lies in it: /web-vm1, /web-vm2 and so on.
    """
    if dry_run:
        return foretell(remote, the_app(remote, app), "scale", root, as_json, count)
    answer = remote.scale(app=the_app(remote, app), path=root, count=count)
    return finish(remote, answer, wait, timeout, as_json)


@click.command(epilog=examples("fieldconf remove /web-vm3"))
@click.argument("path", shell_complete=completing.paths)
@app_option
@force_option
@dry_run_option
@wait_option
@json_option
@remote_option
def remove(
    path: str,
    app: str | None,
    force: bool,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    remote: Remote,
) -> int:
    """Undeploy PATH and take it out for good."""
    if dry_run:
        return foretell(remote, the_app(remote, app), "remove", path, as_json)
    answer = remote.remove(app=the_app(remote, app), path=path, force=force)
    return finish(remote, answer, wait, timeout, as_json)


@click.command(epilog=examples("fieldconf undeploy --app shop && fieldconf delete shop"))
@click.argument("app", shell_complete=completing.applications)
@json_option
@remote_option
def delete(app: str, as_json: bool, remote: Remote) -> None:
    """Forget an application of which nothing is deployed."""
    answer = remote.delete(app=app)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{app} is forgotten")


@click.command(epilog=examples("fieldconf retry", "fieldconf retry /web-vm1/web"))
@click.argument("path", required=False, shell_complete=completing.paths)
@app_option
@json_option
@remote_option
def retry(path: str | None, app: str | None, as_json: bool, remote: Remote) -> None:
    """Try again at once what failed, at PATH or anywhere."""
    answer = remote.retry(the_app(remote, app), path)
    if as_json:
        print_json(answer)
    else:
        click.echo("done")


COMMANDS = (deploy, plan, start, stop, undeploy, scale, remove, delete, retry)
