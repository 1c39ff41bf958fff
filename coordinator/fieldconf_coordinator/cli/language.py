"""The commands about descriptions: ``check`` and ``fmt``. They need no coordinator."""

from pathlib import Path

import click

from .common import COULD_NOT_RUN, examples, json_option, print_json

_FORMATTED = (".graph", ".instances")
_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.command(
    epilog=examples(
        "fieldconf check examples/web-cluster", "fieldconf check --json graph/main.graph"
    )
)
@_PATHS
@json_option
def check(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check templates and single files.

    PATHS are templates (folders or ZIPs), .graph and .instances files.

    Exit status 0: no severe problem; 1: there is one; 2: it could not be run.
    """
    from fieldconf_dsl.check import check_paths, meant_path
    from fieldconf_dsl.errors import has_severe

    from ..service import advice

    problems, could_not_run = check_paths(paths)
    if not could_not_run and not has_severe(problems):
        problems += advice.problems_of(paths)
    if as_json:
        print_json([problem.as_json() for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.severity}: {problem}")
    for path in paths:
        if path.is_dir() and not (path / "descriptor").is_dir() and meant_path(path):
            click.echo(f"note: {path} is no template{meant_path(path)}", err=True)
    for sentence in could_not_run:
        click.echo(f"error: {sentence}", err=True)
    if could_not_run:
        return COULD_NOT_RUN
    severe = sum(problem.is_severe for problem in problems)
    if not as_json:
        warnings = len(problems) - severe
        click.echo(f"{severe} severe, {warnings} warning{'' if warnings == 1 else 's'}")
        if all(path.suffix in _FORMATTED for path in paths):
            text = (
                "only what was named was looked at; 'fieldconf check DIR' checks a template whole"
            )
            click.echo(text, err=True)
    return 1 if has_severe(problems) else 0


@click.command(
    epilog=examples("fieldconf fmt examples/web-cluster", "fieldconf fmt --check graph/main.graph")
)
@_PATHS
@click.option("--check", "check_only", is_flag=True, help="Only tell; exit with 1 if any differs.")
@json_option
def fmt(paths: tuple[Path, ...], check_only: bool, as_json: bool) -> int:
    """Rewrite descriptions in the canonical form.

    PATHS are .graph and .instances files, and folders that hold such.
    """
    others = [path for path in paths if path.suffix not in _FORMATTED and not path.is_dir()]
    if others and others[0].exists():
        text = f"cannot format {others[0]}: only {' and '.join(_FORMATTED)} files have such a form"
        click.echo(f"error: {text}", err=True)
        return COULD_NOT_RUN
    from fieldconf_dsl.check import format_paths
    from fieldconf_dsl.writer import CannotFormat

    try:
        results = format_paths(paths, check_only)
    except CannotFormat as error:
        for problem in error.problems:
            click.echo(f"{problem.severity}: {problem}", err=True)
        click.echo("error: nothing was rewritten", err=True)
        return 1
    except OSError as error:
        click.echo(f"error: cannot format {error.filename}: {error.strerror}", err=True)
        return COULD_NOT_RUN
    changed = [path for path, differs in results if differs]
    if as_json:
        print_json([{"file": path, "differs": differs} for path, differs in results])
    for path in changed if not as_json else ():
        click.echo(f"would rewrite {path}" if check_only else f"rewrote {path}")
    return 1 if check_only and changed else 0


COMMANDS = (check, fmt)
