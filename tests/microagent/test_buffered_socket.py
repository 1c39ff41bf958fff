"""The socket under paho: many small reads and writes, few calls of the system."""

import socket
from contextlib import closing

import pytest

from fieldconf_microagent.link_paho import BufferedSocket


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    buffered = BufferedSocket(ours.family, ours.type, ours.proto, ours.detach())
    buffered.setblocking(False)
    with closing(buffered), closing(theirs):
        yield buffered, theirs


def test_small_reads_are_served_from_one_chunk(pair):
    ours, theirs = pair
    theirs.sendall(b"one two")

    assert ours.recv(3) == b"one"
    assert ours.pending() == 4
    theirs.sendall(b" three")
    assert ours.recv(100) == b" two"
    assert ours.pending() == 0
    assert ours.recv(100) == b" three"


def test_nothing_there_and_the_end_look_as_on_any_socket(pair):
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        ours.recv(1)

    theirs.sendall(b"last")
    theirs.close()
    assert ours.recv(100) == b"last"
    assert ours.recv(100) == b""


def test_writes_that_are_held_go_out_together(pair):
    ours, theirs = pair
    theirs.setblocking(False)
    ours.hold()
    assert ours.send(b"one ") == 4
    assert ours.send(b"two") == 3
    with pytest.raises(BlockingIOError):
        theirs.recv(100)

    ours.release()
    assert theirs.recv(100) == b"one two"
    ours.send(b"three")
    assert theirs.recv(100) == b"three"


def test_what_a_full_connection_does_not_take_is_sent_later_and_in_order(pair):
    ours, theirs = pair
    many = bytes(range(256)) * 8192
    ours.hold()
    ours.send(many)
    ours.release()
    assert ours.is_full()
    ours.send(b"end")

    received = b""
    while not received.endswith(b"end"):
        received += theirs.recv(1 << 16)
        ours.release()
    assert received == many + b"end"
    assert not ours.is_full()
