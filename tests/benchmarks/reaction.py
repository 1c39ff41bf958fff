"""How fast a node reacts: an exports document is published → an `update` script has started.

The agent is a real process, the broker a real mosquitto on loopback. The script writes one byte
into a FIFO with a builtin of its shell, so that both ends are stamped here, by one clock. The floor
is measured in the same run, sample by sample in turn: a QoS-1 message to another process and its
QoS-1 answer (two hops), and the start of the very same script with posix_spawn.
"""

import multiprocessing
import os
import random
import select
import statistics
import time

from bench import (
    APP,
    DOMAIN,
    Hand,
    PahoLink,
    Table,
    agent,
    codec,
    entry,
    goal,
    mosquitto,
    ms,
    percentile,
    summary,
    topics,
    write_settings,
)

_PING, _PONG = "bench/ping", "bench/pong"
GOAL_S = 0.020
GOAL_RATIO = 3


def run(folder, quick):
    """Measure and return the tables."""
    samples = 60 if quick else 400
    fifo_name = folder / "fifo"
    os.mkfifo(fifo_name)
    fifo = os.open(fifo_name, os.O_RDWR)
    with mosquitto(folder) as (port, _), _echo(port):
        with agent(write_settings(folder / "n1", "n1", port)):
            hand = Hand(port, folder)
            script = _deploy(hand, folder, fifo_name)
            measured = _measure(hand, fifo, script, samples)
            hand.close()
    os.close(fifo)
    return [_table(measured)]


def _deploy(hand, folder, fifo_name):
    """Have /vm/lb started on n1, which imports Web from a node n2 that we play."""
    script = f"#!/bin/sh\nprintf u > {fifo_name}\n"
    digest = hand.recipe("Lb", {"scripts/start.sh": "#!/bin/sh\n", "scripts/update.sh": script})
    _publish_live(hand)
    _publish_exports(hand, 0)
    lb = entry("/vm/lb", "Lb", "script", m={"Web": [True, ["ip", "port"]]}, d=digest)
    hand.want("n1", i=[entry("/vm"), lb], prov={"Web": [[APP, "Web", "n2"]]})
    hand.turn_until(lambda: hand.state("n1", "/vm/lb") == "deployed-started")
    file = folder / "update.sh"
    file.write_text(script)
    return str(file)


def _publish_live(hand):
    hand.link.publish(topics.live(DOMAIN, "n2"), codec.pack([1, 1, True]), 1, True)


def _publish_exports(hand, number):
    values = {"ip": "10.0.0.2", "port": str(10000 + number)}
    document = codec.pack([1, 1, 1, number, [["/vm2/web", values]]])
    hand.link.publish(topics.exports(DOMAIN, APP, "Web", "n2"), document, 1, True)


def _measure(hand, fifo, script, samples):
    """Return {what: [seconds, …]}."""
    hand.link.subscribe([_PONG])
    hand.turn(200)
    found = {"reaction": [], "hops": [], "start": []}
    for number in range(1, samples + 1):
        began = time.perf_counter()
        _publish_exports(hand, number)
        _await_byte(fifo)
        found["reaction"].append(time.perf_counter() - began)
        _rest(hand)
        found["hops"].append(_ping(hand))
        _rest(hand)
        found["start"].append(_start(fifo, script))
    # Two that are drawn apart from each other: the quantiles of a sum are not the sums of those.
    mixed = random.Random(1).sample(found["start"], samples)
    found["floor"] = [a + b for a, b in zip(found["hops"], mixed, strict=True)]
    return found


def _await_byte(fifo):
    if not select.select([fifo], [], [], 30)[0]:
        raise RuntimeError("the script did not start")
    os.read(fifo, 1)


def _rest(hand):
    """Let the last sample's aftermath (acknowledgements, the step's end, a save) pass."""
    until = time.perf_counter() + random.uniform(0.02, 0.03)
    while (left := until - time.perf_counter()) > 0:
        hand.turn(int(left * 1000) + 1)


def _ping(hand):
    began = time.perf_counter()
    hand.link.publish(_PING, b"?", 1, False)
    while True:
        for event in hand.link.poll(1000):
            if event[0] == "message" and event[1] == _PONG:
                return time.perf_counter() - began


def _start(fifo, script):
    began = time.perf_counter()
    pid = os.posix_spawn("/bin/sh", ["/bin/sh", script], dict(os.environ))
    _await_byte(fifo)
    seconds = time.perf_counter() - began
    os.waitpid(pid, 0)
    return seconds


class _echo:
    """A process that answers every ping, both with QoS 1."""

    def __init__(self, port):
        ready = multiprocessing.get_context("fork")
        self._ready = ready.Event()
        self._process = ready.Process(target=_answer, args=(port, self._ready), daemon=True)

    def __enter__(self):
        self._process.start()
        self._ready.wait(20)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()


def _answer(port, ready):
    link = PahoLink(f"mqtt://127.0.0.1:{port}", "echo")
    link.connect(("bench/echo", b""))
    while True:
        for event in link.poll(1000):
            if event[0] == "up":
                link.subscribe([_PING])
            elif event[0] == "subscribed":
                ready.set()
            elif event[0] == "message":
                link.publish(_PONG, b"!", 1, False)


def _table(found):
    table = Table("reaction: an export changes → `update` has started (ms)", *_COLUMNS)
    for what, text in _ROWS.items():
        table.add(text, len(found[what]), *summary(found[what]))
    median = statistics.median(found["reaction"]) / statistics.median(found["floor"])
    slow, floor = percentile(found["reaction"], 0.99), percentile(found["floor"], 0.99)
    table.note(
        f"Ratio to the floor: {median:.2f} at the median, {slow / floor:.2f} at p99 "
        f"(goal ≤ {GOAL_RATIO}: {goal(median, GOAL_RATIO)}); "
        f"p99 {ms(slow)} ms (goal ≤ 20 ms: {goal(slow, GOAL_S)})."
    )
    return table


_COLUMNS = ("what", "samples", "median", "p99", "max")
_ROWS = {
    "reaction": "exports published → script has started",
    "hops": "two QoS-1 hops, there and back",
    "start": "start of the same script (posix_spawn)",
    "floor": "floor: hops + start",
}
