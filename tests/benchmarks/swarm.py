"""Many real agent cores in one process, for load: ``swarm.py SOCKET``.

Every core has a connection, a client id, a login and a will of its own, as a node would. What they
share is this process: its interpreter, its one epoll loop, its memory. What they lack is a disk
(nothing is saved) and scripts (every step is done at once). The MQTT here is the least that a
broker takes: it answers what the agents' cores need and checks nothing.

Lines of JSON on the Unix socket, from `swarm_target`, are the settings of one node each.
"""

import gc
import heapq
import json
import os
import random
import select
import socket
import sys
import time
from collections import deque

from fieldconf_microagent import codec, settings, topics
from fieldconf_microagent.agent import Agent

_INSTALLERS = ["logger", "python", "script"]
_LONGEST_WAIT_S = 1.0
# Connections that were not accepted yet: mosquitto lets 100 wait, and the system tries one more
# only after a second. Machines would not start in the same millisecond.
_CONNECTING = 40
_OUT = select.EPOLLOUT


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(head, *parts):
    """Return an MQTT packet."""
    body = b"".join(parts)
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = rest >> 7, rest & 127
        length.append(digit | 128 if rest else digit)
        if not rest:
            return bytes((head,)) + bytes(length) + body


def packets(data):
    """Take whole packets off the front of a bytearray and yield (head, body)."""
    while len(data) >= 2:
        length = shift = 0
        at = 1
        while at < len(data):
            digit = data[at]
            length |= (digit & 127) << shift
            shift, at = shift + 7, at + 1
            if digit < 128:
                break
        else:
            return
        if len(data) < at + length:
            return
        head, body = data[0], bytes(data[at : at + length])
        del data[: at + length]
        yield head, body


class Node:
    """One agent core with its connection."""

    def __init__(self, home, now):
        known = settings.checked(home)
        host, port, _ = settings.split_url(known["broker"])
        known.update(installers=_INSTALLERS, info={"hw": known["node"]}, ip="10.0.0.1")
        known.update(parallel=8, pulse=300_000)
        self.known = known
        self.agent = Agent(known, None, "mark", 1, now, random.randrange)
        # There is no disk to pack the state for.
        self.agent.dump = bytes
        self.data, self.out = bytearray(), bytearray()
        self.slots = {}
        self.number = 0
        #: When its core is to be called, and what its socket is watched for.
        self.wake = None
        self.is_accepted = False
        self.mask = select.EPOLLIN | _OUT
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex((host, port))
        self.send(self._hello())

    def _hello(self):
        known, agent = self.known, self.agent
        flags, login = 0b00101110, b""  # clean session; a will, QoS 1, retained
        if known["user"]:
            flags |= 0b11000000
            login = text(known["user"]) + text(known["password"])
        will = text(topics.live(known["domain"], known["node"]))
        will += text(codec.pack([*agent.triple[:2], False]))
        head = text("MQTT") + bytes((4, flags)) + known["keepalive"].to_bytes(2, "big")
        return packet(0x10, head, text(known["node"]), will, login)

    def send(self, data):
        self.out += data

    def flush(self):
        """Write what is due; tell whether something is left."""
        if self.out:
            try:
                del self.out[: self.socket.send(self.out)]
            except (BlockingIOError, OSError):
                pass
        return bool(self.out)

    def read(self, now):
        """Handle what has come; tell whether the connection still is."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.data += data
        for head, body in packets(self.data):
            self._handle(head, body, now)
        self.settle(now)
        return True

    def _handle(self, head, body, now):
        kind = head & 0xF0
        if kind == 0x20:
            if body[1]:
                raise RuntimeError(f"the broker refused {self.known['node']}: {body[1]}")
            self.is_accepted = True
            self.agent.on_link(now, True)
        elif kind == 0x30:
            length = 2 + int.from_bytes(body[:2], "big")
            topic, rest = body[2:length].decode(), body[length:]
            if head & 6:
                self.send(packet(0x40, rest[:2]))
                rest = rest[2:]
            self.agent.on_message(now, topic, rest)
        elif kind == 0x40:
            slot = self.slots.pop(int.from_bytes(body, "big"), None)
            if slot is not None:
                self.agent.on_acked(now, slot)
        elif kind == 0x90:
            self.agent.on_subscribed(now)

    def settle(self, now):
        """Carry out what the core wants until it wants no more."""
        while effects := self.agent.take():
            for effect in effects:
                carry = _CARRIERS.get(effect[0])
                if carry:
                    carry(self, now, *effect[1:])

    def publish(self, now, topic, payload, qos, retain, slot):
        head = 0x30 | qos << 1 | retain
        if qos:
            self.send(packet(head, text(topic), self._id(), payload))
            self.slots[self.number] = slot
        else:
            self.send(packet(head, text(topic), payload))

    def subscribe(self, now, names):
        self.send(packet(0x82, self._id(), *[text(name) + b"\1" for name in names]))

    def unsubscribe(self, now, names):
        self.send(packet(0xA2, self._id(), *[text(name) for name in names]))

    def run(self, now, request):
        self.agent.on_ended(now, request["path"], _outcome(request["step"]), "")

    def fetch(self, now, digests):
        for digest in digests:
            self.agent.on_recipe(now, digest, None)

    def _id(self):
        self.number = self.number % 65535 + 1
        return self.number.to_bytes(2, "big")


def _outcome(step):
    return "absent" if step == "check" else "done"


_CARRIERS = {
    "publish": Node.publish,
    "subscribe": Node.subscribe,
    "unsubscribe": Node.unsubscribe,
    "run": Node.run,
    "fetch": Node.fetch,
}


class Swarm:
    """All nodes of this process, and where new ones come from."""

    def __init__(self, path):
        self.nodes = {}
        self.due = []
        self.coming = deque()
        self.connecting = set()
        self.poll = select.epoll()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.source, _ = self.listener.accept()
        self.source.setblocking(False)
        self.lines = b""
        self.poll.register(self.source, select.EPOLLIN)

    def run(self):
        """Go on until whoever sends nodes hangs up."""
        source = self.source.fileno()
        while True:
            ready = self.poll.poll(self._wait_s())
            now = _now_ms()
            for file, mask in ready:
                if file != source:
                    self._serve(self.nodes[file], mask, now)
                elif not self._take(now):
                    return
            self._tick(now)

    def _wait_s(self):
        if not self.due:
            return _LONGEST_WAIT_S
        return min(max(0, self.due[0][0] - _now_ms()) / 1000, _LONGEST_WAIT_S)

    def _take(self, now):
        data = self.source.recv(1 << 16)
        *lines, self.lines = (self.lines + data).split(b"\n")
        self.coming.extend(lines)
        self._connect(now)
        return bool(data)

    def _connect(self, now):
        while self.coming and len(self.connecting) < _CONNECTING:
            node = Node(json.loads(self.coming.popleft()), now)
            self.nodes[node.socket.fileno()] = node
            self.connecting.add(node)
            node.agent.take()
            # Writable tells that the connection is made.
            self.poll.register(node.socket, node.mask)

    def _serve(self, node, mask, now):
        if mask & ~_OUT and not node.read(now):
            raise RuntimeError(f"{node.known['node']} lost its connection")
        self._go_on(node)
        if node.is_accepted and node in self.connecting:
            self.connecting.discard(node)
            self._connect(now)

    def _go_on(self, node):
        """Write what a node has to say, and note when it is to be called again."""
        mask = select.EPOLLIN | _OUT if node.flush() else select.EPOLLIN
        if mask != node.mask:
            node.mask = mask
            self.poll.modify(node.socket, mask)
        wake = node.agent.next_wake()
        if wake != node.wake:
            node.wake = wake
            if wake is not None:
                heapq.heappush(self.due, (wake, node.socket.fileno()))

    def _tick(self, now):
        while self.due and self.due[0][0] <= now:
            wake, file = heapq.heappop(self.due)
            node = self.nodes[file]
            if wake == node.wake:
                node.wake = None
                node.agent.tick(now)
                node.settle(now)
                self._go_on(node)


def _now_ms():
    return time.monotonic_ns() // 1_000_000


if __name__ == "__main__":
    # Nothing here goes in circles for long, and thousands of nodes take long to look through.
    gc.disable()
    try:
        Swarm(sys.argv[1]).run()
    except BaseException as error:  # told, but its thousands of sockets need no clean-up
        print(f"swarm: {error!r}", file=sys.stderr, flush=True)
    os._exit(0)
