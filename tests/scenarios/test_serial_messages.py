"""No message that the broker has acknowledged to a board is lost, whatever happens to the line.

MicroPython publishes numbers with QoS 1 over a real pty, each until it is acknowledged, and writes
down which are. A subscriber must have got all of these.
"""

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_targets.bridge import bridging
from support import interpreters
from support.boards import copy_agent
from support.serial_board import NO_SOCKETS, Board
from support.waiting import until

pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")

COUNT = 300

PUBLISHER = f"""\
{NO_SOCKETS}
sys.path[:] = ["", "lib", ".frozen"]
import time
from fieldconf_microagent.mqtt import Client
from fieldconf_microagent.serial_line import SerialLine

def acked():
    with open("acked") as file:
        return [int(line) for line in file]

open("acked", "a").close()
left = [number for number in range({COUNT}) if number not in acked()]
client = Client(SerialLine("serial:"), 0, "board", 2)
sent = {{}}
client.connect()
while left:
    for event in client.poll(20):
        if event[0] == "closed":
            print("closed")
            sent = {{}}
            time.sleep_ms(50)
            client.connect()
        elif event[0] == "acked" and event[1] in sent:
            number = sent.pop(event[1])
            left.remove(number)
            with open("acked", "a") as file:
                file.write("%d\\n" % number)
    for number in left:
        if not client.has_room():
            break
        if number not in sent.values():
            sent[client.publish("t", b"%d" % number + b"." * (number % 200), 1, False)] = number
print("done")
"""


@pytest.fixture
def broker(tmp_path):
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


class Subscriber:
    """Gets everything; `numbers` are those that came."""

    def __init__(self, url):
        self.numbers = set()
        self.link = PahoLink(url, "subscriber")
        self.link.connect(None)
        self.has("up")
        self.link.subscribe(["t"])
        self.has("subscribed")

    def has(self, kind):
        until(lambda: kind in [event[0] for event in self.link.poll(50)])

    def listen(self):
        for event in self.link.poll(10):
            if event[0] == "message":
                number, _, rest = event[2].partition(b".")
                assert len(rest) == max(0, int(number) % 200 - 1), "what came is damaged"
                self.numbers.add(int(number))
        return self.numbers


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_was_acknowledged_has_arrived(broker, tmp_path, seed):
    interpreters.find("micropython")
    folder = tmp_path / "board"
    copy_agent(folder / "lib", "sources")
    (folder / "main.py").write_text(PUBLISHER)
    subscriber = Subscriber(broker.url)
    faults = {"flips": 0.0005, "drops": 0.01, "doubles": 0.01}
    board = Board(folder, tmp_path / "port", seed=seed, **faults)

    def acked():
        subscriber.listen()
        file = folder / "acked"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    try:
        with bridging([str(board.port)], broker.url):
            until(lambda: len(acked()) > COUNT // 5, 60)
            board.unplug()
            board.plug()
            until(lambda: len(acked()) > 2 * COUNT // 5, 60)
            board.reset()
            until(lambda: len(acked()) > 3 * COUNT // 5, 60)
            board.faults.cut = True
            losses = board.printed.count(b"closed\n")
            until(lambda: acked() and board.printed.count(b"closed\n") > losses, 60)
            board.faults.cut = False
            until(lambda: len(acked()) == COUNT, 60)
            until(lambda: subscriber.listen() == set(range(COUNT)))
        assert sorted(acked()) == list(range(COUNT))
    finally:
        subscriber.link.close()
        board.close()
