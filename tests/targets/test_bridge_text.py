"""What a board prints is told from the frames it sends, however the bytes come in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent.serial_frames import Line
from fieldconf_targets.bridge_text import Lines, Sorter


def frames(count):
    """Return what a board sends for so many pieces of a stream, one of each length."""
    board, gateway = Line(), Line(True)
    board.connect(0x0A0D0909)
    gateway.feed(0, board.output(0))
    gateway.accept()
    board.feed(0, gateway.output(0))
    sent = []
    for length in range(count):
        board.send(b"\n" * length)
        sent.append(board.output(0))
        gateway.feed(0, sent[-1])
        board.feed(0, gateway.output(0))
        gateway.take(length)
    return sent


FRAMES = frames(200)
TEXTS = [b"warning: no broker\n", b"Traceback:\r\n  oops\r\n", b"\xc3\xa4\n", b"", b">>> "]


@given(
    st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(FRAMES)), max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_every_frame_and_every_text_comes_out(pairs, sizes):
    sorter, printed, rest = Sorter(), b"", b""
    data = b"".join(text + frame for text, frame in pairs)
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        texts, more = sorter.feed(data[at : at + size])
        printed += b"".join(texts)
        rest += more
        at += size
        turn += 1

    assert printed == b"".join(text for text, _ in pairs)
    wanted = [piece for _, frame in pairs for piece in frame.split(b"\0") if piece]
    assert [piece for piece in rest.split(b"\0") if piece] == wanted


def test_line_is_told_as_soon_as_it_ends():
    sorter = Sorter()

    assert sorter.feed(b"one\ntwo") == ([b"one\n"], b"")
    assert sorter.feed(b"!\n") == ([b"two!\n"], b"")


def test_prompt_is_told_after_a_pause():
    sorter = Sorter()

    assert sorter.feed(b">>> ") == ([], b"")
    assert sorter.is_waiting()
    assert sorter.pause() == b">>> "
    assert not sorter.is_waiting()


def test_start_of_a_frame_is_no_prompt():
    sorter = Sorter()
    sorter.feed(FRAMES[50][:2])

    assert sorter.pause() == b""
    assert sorter.feed(FRAMES[50][2:]) == ([], FRAMES[50][1:])


@pytest.mark.parametrize("piece", [b"a" * 100, b"\xff\x01" * 50], ids=["text", "noise"])
def test_what_never_ends_takes_no_memory(piece):
    sorter = Sorter()
    for _ in range(100):
        sorter.feed(piece)

    assert len(sorter.feed(b"")[1]) + len(sorter.pause()) <= 1024


def test_log_gets_whole_lines_and_not_too_many():
    lines = Lines(most=3, every_s=10.0)

    assert lines.feed(0.0, b"on") == []
    assert lines.feed(0.0, b"e\r\n\n two\xff\nthr") == ["one", " two�"]
    assert lines.feed(0.1, b"", True) == ["thr"]
    assert lines.feed(0.2, b"4\n5\n6\n") == []
    assert lines.feed(20.0, b"7\n") == ["(3 lines left out)", "7"]
