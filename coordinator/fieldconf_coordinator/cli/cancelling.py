"""The command ``cancel``: of changes that are under way, or of one step."""

from collections.abc import Mapping
from typing import Any

import click

from fieldconf_microagent import states

from . import completing
from .common import app_option, examples, json_option, print_json, remote_option, the_app
from .remote import Remote


@click.command(
    epilog=examples(
        "fieldconf cancel                all that is under way",
        "fieldconf cancel 7              one change",
        "fieldconf cancel /web-vm1/web   the step that runs there; it is tried again",
    )
)
@click.argument("what", required=False, metavar="[CHANGE|PATH]", shell_complete=completing.paths)
@app_option
@json_option
@remote_option
def cancel(what: str | None, app: str | None, as_json: bool, remote: Remote) -> int:
    """Cancel changes that are under way, or end a step.

    What a change wished is put back: a cancelled deployment leaves nothing deployed. With a PATH
    only the step that runs there is ended; what is wished stays wished.
    """
    if what is not None and not what.isdecimal():
        return _step(remote, the_app(remote, app), what, as_json)
    found = [remote.change(what)] if what else remote.running(app)
    answers = [(one, remote.cancel_change(one["id"])) for one in found]
    if as_json:
        print_json([answer for _, answer in answers])
    elif not answers:
        click.echo(f"nothing is under way{f' in {app}' if app else ''}", err=True)
    for change, answer in () if as_json else answers:
        _tell(change, answer)
    return 0 if answers else 1


def _tell(change: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    click.echo(f"cancelled: {change['application']}: {change['text']}")
    if answer["change"] is not None:
        click.echo(f"  what it wished is put back, see change {answer['change']}")
    for sentence in answer["stays"]:
        click.echo(f"  {sentence}")
    _tell_offline(answer)


def _tell_offline(answer: Mapping[str, Any]) -> None:
    for node in answer["offline"]:
        click.echo(f"  node {node} is offline: what runs there ends by itself", err=True)


def _step(remote: Remote, app: str, path: str, as_json: bool) -> int:
    """End the step that runs at a path."""
    state = remote.instance(app, path)["state"]
    answer = remote.cancel(app, path)
    is_running = not states.is_stable(state) and bool(answer["sent"])
    if as_json:
        print_json(answer)
    elif answer["offline"]:
        _tell_offline(answer)
    elif not is_running:
        click.echo(f"no step runs at {path}: it is {state}", err=True)
    else:
        click.echo(f"the step at {path} is ended; 'fieldconf retry {path}' begins it again")
    return 0 if is_running else 1


COMMANDS = (cancel,)
