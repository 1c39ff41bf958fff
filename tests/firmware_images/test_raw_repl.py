"""The raw REPL by the byte: what is sent to boards old and new, and what noise is taken for."""

import pytest

from fieldconf_firmware_images.flash_errors import BoardError, LineLost, NoSense
from fieldconf_firmware_images.raw_repl import RawRepl

BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class Script:
    """A board that says what is written down, each piece when what it waits for was sent."""

    def __init__(self, *talk):
        self._talk = list(talk)
        self.sent = b""
        self._fresh = b""

    def write(self, data):
        self.sent += data
        self._fresh += data

    def read(self, patience_s):
        if self._talk and self._talk[0][0] in self._fresh:
            wanted, answer = self._talk.pop(0)
            self._fresh = self._fresh.partition(wanted)[2]
            if isinstance(answer, Exception):
                raise answer
            return answer
        return b""


ENTER = (b"\r\x03\x03", b"\r\n>>> "), (b"\r\x01", BANNER)
OLD = (b"\x05A\x01", BANNER)
NEW = (b"\x05A\x01", b"R\x01\x08\x00")


def repl(*talk):
    line = Script(*ENTER, *talk)
    board = RawRepl(line)
    board.enter()
    line.sent = b""
    return board, line


def test_an_old_board_gets_its_code_in_pieces_and_is_not_asked_twice():
    board, line = repl(OLD, (b"\x04", b"OK1\r\n\x04\x04>"), (b"\x04", b"OK2\r\n\x04\x04>"))

    assert board.execute("print(1)") == b"1\r\n"
    assert board.execute("print(2)") == b"2\r\n"
    assert line.sent == b"\x05A\x01print(1)\x04print(2)\x04"


def test_a_new_board_paces_the_sender():
    board, line = repl(
        NEW, (b"01234567", b"\x01"), (b"89abcdef", b"\x01\x01"), (b"\x04", b"\x04done\x04\x04>")
    )

    assert board.execute("0123456789abcdefgh") == b"done"
    assert line.sent == b"\x05A\x010123456789abcdefgh\x04"


def test_a_board_that_has_had_enough_ends_the_paste_and_tells_why():
    board, line = repl(
        NEW, (b"1 / + 2 ", b"\x04"), (b"\x04", b"\x04Traceback\r\nSyntaxError: bad\r\n\x04>")
    )

    with pytest.raises(BoardError, match="the board says SyntaxError: bad"):
        board.execute("1 / + 2 and so on for long")
    assert b"and so on" not in line.sent


def test_a_board_that_knows_raw_paste_but_cannot_do_it_gets_plain_code():
    board, line = repl((b"\x05A\x01", b"R\x00"), (b"\x04", b"OK\x04\x04>"))

    assert board.execute("pass") == b""
    assert line.sent == b"\x05A\x01pass\x04"


def test_an_exception_on_the_board_is_told_by_its_last_line():
    board, _ = repl(
        OLD,
        (b"\x04", b"OK\x04Traceback (most recent call last):\r\nOSError: 28\r\n\x04>"),
        (b"\x04", b"OKstill here\x04\x04>"),
    )

    with pytest.raises(BoardError) as caught:
        board.execute("f.write(b'')")

    assert str(caught.value) == "the board says OSError: 28"
    assert board.execute("print()") == b"still here"


def test_whoever_does_not_answer_is_no_micropython():
    line = Script((b"\r\x01", b"\r\nets Jul 29 2019 12:21:46\r\nrst:0x1 (POWERON_RESET)"))

    with pytest.raises(NoSense) as caught:
        RawRepl(line).enter()

    assert caught.value.kind == "no-answer"
    assert str(caught.value) == (
        "no MicroPython answers on this line; "
        "it said: 'ets Jul 29 2019 12:21:46 rst:0x1 (POWERON_RESET)'"
    )


def test_a_program_that_talks_and_talks_is_not_listened_to_for_ever():
    class Chatter(Script):
        now = 0.0

        def read(self, patience_s):
            self.now += 0.05
            return b"23.4 C\r\n"

    line = Chatter()

    with pytest.raises(NoSense, match=r"it said: '.*23\.4 C 23\.4 C'"):
        RawRepl(line, clock=lambda: line.now).enter()
    assert line.now < 60


def test_silence_is_called_silence():
    with pytest.raises(NoSense, match="there is silence"):
        RawRepl(Script()).enter()


def test_a_slow_board_is_asked_again():
    line = Script(*[(b"\r\x01", b"")] * 2, *ENTER, OLD, (b"\x04", b"OKyes\x04\x04>"))
    board = RawRepl(line)

    board.enter()

    assert board.execute("print('yes')") == b"yes"


@pytest.mark.parametrize(
    "answer",
    [b"", b"O", b"\xff\xfe\xfd", b"OK1\r\n", b"OK1\x04", b"OK1\x04\x04", b"OK1\x04\x04?", b"KO"],
)
def test_half_answers_and_noise_are_no_answers(answer):
    board, _ = repl(OLD, (b"\x04", answer))

    with pytest.raises(NoSense) as caught:
        board.execute("print(1)")
    assert caught.value.hint


def test_a_board_that_never_stops_talking_is_an_error():
    class Endless(Script):
        def read(self, patience_s):
            return super().read(patience_s) or b"x" * 4096

    board, line = repl(OLD)
    line.__class__ = Endless

    with pytest.raises(NoSense, match="does not stop talking"):
        board._until(b"\x04", 1)


def test_a_lost_line_is_told_as_such():
    board, _ = repl((b"\x05A\x01", LineLost("the cable was pulled")))

    with pytest.raises(LineLost):
        board.execute("print(1)")


def test_a_soft_reset_ends_in_the_raw_repl():
    board, line = repl((b"\x04", b"OK\r\nMPY: soft reboot\r\n" + BANNER))

    board.soft_reset()

    assert line.sent == b"\x04"
