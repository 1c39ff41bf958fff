"""How long our MQTT client holds out; run under MicroPython by `test_mqtt_endurance`.

``micropython mqtt_endurance.py PACKAGES PORT COUNT RESTARTS``: publishes COUNT messages of QoS 1 to
itself, as fast as they are acknowledged, and lives through RESTARTS of the broker, which whoever
started this does each time it reads "restart". Prints how much of the heap is in use, once it has
warmed up and at the end.
"""

import gc
import sys

sys.path.insert(0, sys.argv[1])
from fieldconf_microagent.mqtt import Client

TOPIC = "t/endurance"


class Endurance:
    def __init__(self, port, count):
        self.client = Client("127.0.0.1", port, "endurance", 5)
        self.left = count
        self.waiting = set()
        self.seen = 0
        self.subscribing = None
        self.reconnects = 0
        self.client.connect()

    def turn(self):
        for event in self.client.poll(50):
            kind = event[0]
            if kind == "connected":
                self.subscribing = self.client.subscribe([(TOPIC, 1)])
            elif kind == "subscribed":
                self.subscribing = None
            elif kind == "acked":
                self.waiting.discard(event[1])
                self.left -= 1
            elif kind == "message":
                self.seen += 1
            elif kind == "closed":
                # What was under way is said again by its author.
                self.waiting.clear()
                self.reconnects += 1
                self.client.connect()
        while self.client.has_room() and self.subscribing is None and len(self.waiting) < self.left:
            self.waiting.add(self.client.publish(TOPIC, b"payload", 1, False))

    def until(self, left):
        while self.left > left:
            self.turn()


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def main(port, count, restarts):
    run = Endurance(port, count)
    run.until(count - 1000)
    before = used()
    share = (count - 2000) // (restarts + 1)
    for _ in range(restarts):
        run.until(run.left - share)
        reconnects = run.reconnects
        print("restart")
        while run.reconnects == reconnects:
            run.turn()
    run.until(0)
    print("used", before, used(), "seen", run.seen, "reconnects", run.reconnects)


main(*map(int, sys.argv[2:]))
