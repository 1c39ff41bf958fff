"""The commands about nodes: what there is, and the tags that people give them."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from . import completing
from .common import app_option, examples, json_option, print_json, remote_option, table
from .remote import Remote
from .show import clock

# Phases of enrolled machines that no application uses.
_LOST = {"enrolled": "new"}
_UNUSED = {
    "enrolled": "(not seen yet)",
    "free": "(free)",
    "joining": "(waits for approval)",
    "approved": "(approved, makes its key)",
}


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "fieldconf nodes",
        "fieldconf nodes --app shop --json",
        "fieldconf nodes --tag outdoor",
        "fieldconf nodes tag n8zyfq3k2v +outdoor -indoor",
    ),
)
@app_option
@click.option("--tag", help="Only those with this tag.")
@json_option
@remote_option
@click.pass_context
def nodes(
    context: click.Context, app: str | None, tag: str | None, as_json: bool, remote: Remote
) -> None:
    """List the nodes, and whether they are online; tag them."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    found = remote.nodes(app, tag)
    if as_json:
        print_json(found)
    elif not found:
        click.echo("no nodes")
    else:
        header = ("node", "is", "instance", "address", "tags", "agent", "")
        click.echo(table(header, [_node_row(node) for node in found]))


def _refuse_options(context: click.Context) -> None:
    """Refuse options that stand where no command would see them."""
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            text = f"write --{name.removeprefix('as_')} behind {context.invoked_subcommand!r}"
            raise click.UsageError(text)


def _node_row(node: Mapping[str, Any]) -> tuple[str, ...]:
    since = node["since"]
    gone = " since " + clock(since) if not node["online"] and since else ""
    # What is wrong comes first: the last column is cut.
    notes = [f"refused: {node['refused']}"] if node.get("refused") else []
    notes += ["duplicate identity"] if node.get("duplicate") else []
    notes += ["enrolled"] if node.get("enrolled") and node["application"] is not None else []
    notes += [str(node["platform"])] if node["platform"] else []
    notes += [f"{_size(node['memory'])} free"] if node.get("memory") else []
    notes += [f"reset: {node['reset']}"] if node.get("reset") else []
    return (
        node["id"],
        "online" if node["online"] else _LOST.get(node["phase"], "offline") + gone,
        _place(node),
        str(node["address"] or ""),
        " ".join(node["tags"]),
        str(node["agent"] or ""),
        "; ".join(notes),
    )


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "KB", "MB"):
        if count < 10_000:
            return f"{count} {unit}"
        count >>= 10
    return f"{count} GB"


def _place(node: Mapping[str, Any]) -> str:
    """Return what uses a node, or why nothing does."""
    if node["application"] is not None:
        return f"{node['application']} {node['path']}"
    return _UNUSED.get(node["phase"], str(node["phase"]))


@nodes.command(
    # So that -indoor is no option.
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    epilog=examples(
        "fieldconf nodes tag n8zyfq3k2v +outdoor +site=north -indoor",
        "fieldconf nodes tag n8zy                                   show its tags",
    ),
)
@click.argument("node", shell_complete=completing.nodes)
@click.argument("edits", nargs=-1, type=click.UNPROCESSED, metavar="[+TAG|-TAG]...")
@json_option
@remote_option
def tag(node: str, edits: tuple[str, ...], as_json: bool, remote: Remote) -> None:
    """Give a NODE tags, or take them away.

    The beginning of its id is enough where no other one begins like that.
    """
    wrong = [edit for edit in edits if edit[0:1] not in ("+", "-") or len(edit) < 2]
    if wrong:
        raise click.UsageError(f"{wrong[0]!r}: write +TAG to give a tag, -TAG to take one away")
    more = {edit[1:] for edit in edits if edit.startswith("+")}
    fewer = {edit[1:] for edit in edits if edit.startswith("-")}
    node = remote.node_id(node)
    found = remote.tag(node, more, fewer) if edits else remote.node(node)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{node}: {' '.join(found['tags']) or 'no tags'}")


COMMANDS = (nodes,)
