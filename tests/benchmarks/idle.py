"""What an agent does while nothing happens: bytes on the wire, threads, processor time.

A real agent with one instance started, connected through a relay whose socket the kernel keeps
account of (TCP_INFO). Its keepalive is short here, and pulses come as often as with the longest
keepalive: one in each. What is counted from one ping to the last is given for a month of the
longest keepalive, since the packets are the same.
"""

import os
import socket
import struct
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import bench
from bench import STARTED, Hand, Table, agent, entry

KEEPALIVE_S = 10
LONGEST_S = 1200
MONTH_S = 30 * 86400
MOST_MB = 0.3
_PINGREQ = b"\xc0\x00"
_IPV4 = 20
#: Offsets in Linux' `struct tcp_info`: options; bytes acknowledged and received, segments.
_OPTIONS, _COUNTS = 5, 120


def run(folder, quick):
    """Measure and return the table."""
    table = Table("idle: an agent with nothing to do", "what", "figure", "goal")
    periods = 2 if quick else 8
    with ExitStack() as stack:
        relay, process = _started(stack, folder)
        first = relay.after_ping(), _run_s(process.pid), time.monotonic()
        for _ in range(periods):
            last = relay.after_ping()
        ran_s = (_run_s(process.pid) - first[1]) / (time.monotonic() - first[2])
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
        header = relay.header()
    content, segments = (b - a for a, b in zip(first[0], last, strict=True))
    wire = content + segments * header
    times = MONTH_S / LONGEST_S / periods
    verdict = f"≤ {MOST_MB}: {bench.goal(wire * times / 1e6, MOST_MB)}"
    table.add("MQTT, MB a month", f"{content * times / 1e6:.2f}", "–")
    table.add("with the headers of TCP and IP, MB a month", f"{wire * times / 1e6:.2f}", verdict)
    table.add("– bytes in one keepalive", f"{wire / periods:.0f}", "–")
    table.add("– packets in one keepalive", f"{segments / periods:.1f}", "–")
    table.add("threads", threads, "–")
    table.add("processor time, s a day", f"{ran_s * 86400:.1f}", "–")
    table.note(
        f"Counted over {periods} keepalives of {KEEPALIVE_S} s, given for {LONGEST_S:,} s and 30 "
        f"days; {header} bytes of headers a packet."
    )
    return [table]


def _started(stack, folder):
    """Return a relay, and the process of an agent behind it that has one instance started."""
    port, _ = stack.enter_context(bench.mosquitto(folder))
    relay = Relay(port)
    stack.callback(relay.close)
    short = {"keepalive": KEEPALIVE_S, "pulse": KEEPALIVE_S * 1000}
    settings = bench.write_settings(folder / "n1", "n1", relay.port, **short)
    process = stack.enter_context(agent(settings))
    hand = Hand(port, folder)
    digest = hand.recipe("Web", {"scripts/start.sh": "#!/bin/sh\n"})
    hand.want("n1", i=[entry("/vm"), entry("/vm/web", "Web", "script", d=digest)])
    hand.turn_until(lambda: hand.state("n1", "/vm/web") == STARTED)
    hand.close()
    return relay, process


def _run_s(pid):
    """Return how long the threads of a process have run, in seconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Relay:
    """Forwards the first connection to a broker, and waits for pings in it."""

    def __init__(self, broker):
        self._broker = broker
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._near = None
        self._pinged = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def header(self):
        """Return how many bytes of headers a packet has, TCP's timestamps included."""
        return _IPV4 + (32 if self._info()[_OPTIONS] & 1 else 20)

    def after_ping(self):
        """Wait for the next ping; return bytes and packets so far, in both directions."""
        self._pinged.clear()
        bench.until(self._pinged.is_set, 3 * KEEPALIVE_S, 0.01)
        # Its answer, and the answer's acknowledgement, which the kernel may delay.
        time.sleep(0.5)
        acked, received, sent, came = struct.unpack_from("=QQII", self._info(), _COUNTS)
        return acked + received, sent + came

    def close(self):
        self._server.close()
        if self._near is not None:
            self._near.close()

    def _info(self):
        return self._near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)

    def _run(self):
        self._near, _ = self._server.accept()
        far = socket.create_connection(("127.0.0.1", self._broker))
        for end in (self._near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._pump, args=(far, self._near), daemon=True).start()
        self._pump(self._near, far)

    def _pump(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                if source is self._near and _PINGREQ in data:
                    self._pinged.set()
        except OSError:
            pass  # closed: the measurement is over
        sink.close()
