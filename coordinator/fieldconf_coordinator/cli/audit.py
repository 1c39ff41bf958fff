"""The commands about the audit log."""

from pathlib import Path

import click

from .common import COULD_NOT_RUN, data_option, examples, json_option, print_json


@click.group(
    epilog=examples("fieldconf audit verify", "fieldconf audit verify --data /var/lib/fieldconf")
)
def audit() -> None:
    """Look after the log of who changed what."""


@audit.command(epilog=examples("fieldconf audit verify", "fieldconf audit verify --json"))
@json_option
@data_option
def verify(as_json: bool, data: Path) -> int:
    """Tell whether the audit log is as it was written.

    A line that was changed, put in or taken out is found. Note down the last hash elsewhere if you
    have to find out whether the end was cut off.
    """
    from ..rest.audit import FILE
    from ..rest.audit import verify as verdict_of

    try:
        verdict = verdict_of(data / FILE)
    except OSError as error:
        click.echo(f"error: cannot read {data / FILE}: {error.strerror}", err=True)
        return COULD_NOT_RUN
    if as_json:
        sound = not verdict.problem
        print_json({"sound": sound, "lines": verdict.lines, "last": verdict.last,
                    "problem": verdict.problem})  # fmt: skip
    elif verdict.problem:
        click.echo(f"error: {verdict.problem}; {verdict.lines} lines before are sound", err=True)
    else:
        click.echo(f"{verdict.lines} lines are sound; the last hash is {verdict.last}")
    return 1 if verdict.problem else 0


COMMANDS = (audit,)
