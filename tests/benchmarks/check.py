"""How long `check` takes for an application of 10,000 instances.

Twice: with 5,000 blocks of a machine and a server in it, each with a property, written out, which
is the most text for its instances; and with one block that says ``count: 5000``. The parts are
those of the first: one can be measured without the others because each stage only needs the result
of the former. Measured in this process, so that the start of Python is not in it; the last row is
the command as a user runs it.
"""

import statistics
import subprocess
import sys
import time

from bench import Table, goal
from templates import write

from fieldconf_dsl.build import build_graph
from fieldconf_dsl.build_instances import build_instances
from fieldconf_dsl.check import check_paths
from fieldconf_dsl.check_model import check_model
from fieldconf_dsl.loader import load_template, read_source
from fieldconf_dsl.parser import parse
from fieldconf_dsl.validate import validate_graph, validate_instances

GOAL_S = 1.0
_GRAPH = """\
VM {
    installer: target;
    children: Data, Web;
}
Data {
    installer: script;
    exports: ip, random[port] port;
}
Web {
    installer: script;
    exports: ip, port = 80;
    imports: Data.ip, Data.port;
}
"""
_BLOCK = """\
instance of VM {{
    name: vm{number};{count}
    instance of Web {{
        name: web;
        port: {port};
    }}
}}
"""
_START = [sys.executable, "-c", "from fieldconf_coordinator.cli.main import main; main()", "check"]


def run(folder, quick):
    """Measure and return the tables."""
    pairs, times = (500, 1) if quick else (5000, 5)
    explicit = "".join(_BLOCK.format(number=n, count="", port=8000 + n) for n in range(pairs))
    counted = _BLOCK.format(number="", count=f"\n    count: {pairs};", port=80)
    long, short = [
        write(folder / name, _GRAPH, text, {"Data": {}, "Web": {}})
        for name, text in (("long", explicit), ("short", counted))
    ]
    table = Table(f"check: {2 * pairs:,} instances (s)", "what", "median", "slowest")
    assert len(load_template(long).template.instances) >= pairs
    _row(table, "check, written out", lambda: check_paths([long]), times)
    median = statistics.median(_times(lambda: check_paths([long]), times))
    for text, work in _stages(long):
        _row(table, "– " + text, work, times)
    _row(table, "check, with count", lambda: check_paths([short]), times)
    _row(table, "the command, written out", lambda: _command(long), times)
    table.note(f"Goal for the check written out: ≤ 1 s: {goal(median, GOAL_S)}.")
    return [table]


def _stages(template):
    """Return (name, function) of the stages that a check of `template` goes through."""
    content = (template / "instances/main.instances").read_bytes()
    graph = build_graph([read_source(_GRAPH.encode(), "main.graph")])
    text = content.decode()
    source = parse(text, "main.instances")
    built = build_instances([source], graph.graph)
    return [
        ("parse", lambda: parse(text, "main.instances")),
        ("check of the parsed file", lambda: check_model(source)),
        ("instances built", lambda: build_instances([source], graph.graph)),
        (
            "graph and instances validated",
            lambda: (
                validate_graph(graph.graph, graph.places, "main.graph"),
                validate_instances(graph.graph, built.instances, built.blocks),
            ),
        ),
    ]


def _row(table, text, work, times):
    seconds = _times(work, times)
    table.add(text, f"{statistics.median(seconds):.3f}", f"{max(seconds):.3f}")


def _times(work, times):
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


def _command(template):
    subprocess.run([*_START, str(template)], check=True, stdout=subprocess.DEVNULL)
