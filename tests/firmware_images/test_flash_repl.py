"""Files onto boards through the raw REPL: MicroPython for the desktop behind a pty, and a foreign
board, a micro:bit with MicroPython of 2017 in QEMU."""

import random
import re
import shutil
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from fieldconf_firmware_images import board_files, board_needs, flash_repl, raw_repl
from fieldconf_firmware_images.flash_errors import FlashError, LineLost, NoSense
from fieldconf_firmware_images.serial_line import SerialLine
from support.ptyboard import PtyBoard
from support.waiting import until

AGENT = {
    "lib/fieldconf_microagent/__init__.py": b"",
    "lib/fieldconf_microagent/agent.py": b"# agent\n" * 700,
    "lib/fieldconf_microagent/bytes.bin": bytes(range(256)) * 12,
    "settings.json": b'{"node": "n1"}',
    "main.py": b"# fieldconf_microagent\nprint('agent runs')\n",
}
FIRMWARE = Path("/usr/share/firmware-microbit-micropython/firmware.hex")


@pytest.fixture
def board(tmp_path):
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


def flash(port, files=AGENT, **more):
    with SerialLine(port) as line:
        return flash_repl.flash(line, files, **more)


def on_board(board):
    files = (path for path in board.folder.rglob("*") if path.is_file())
    return {str(path.relative_to(board.folder)): path.read_bytes() for path in files}


def test_a_board_gets_all_files_and_a_second_time_none(board):
    first = flash(board.port)
    second = flash(board.port)

    assert on_board(board) == AGENT
    assert sorted(first.written) == sorted(AGENT) and first.kept == 0
    assert first.written[-1] == "main.py"
    assert second.written == [] and second.kept == len(AGENT)


def test_only_what_differs_is_written(board):
    flash(board.port)
    newer = {**AGENT, "settings.json": b'{"node": "n2"}'}

    outcome = flash(board.port, newer)

    # main.py went first, so that a cut would not have started half of each.
    assert outcome.written == ["settings.json", "main.py"]
    assert on_board(board) == newer


def leave_behind(board, *paths):
    for path in paths:
        (board.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (board.folder / path).write_bytes(b"x")


def test_files_of_an_older_agent_go_and_others_stay(board):
    flash(board.port, {**AGENT, "lib/fieldconf_microagent/old.py": b"pass"})
    leave_behind(board, "state/deep/want", "notes.txt", "lib/other.py")

    outcome = flash(board.port)

    assert outcome.removed == ["lib/fieldconf_microagent/old.py"]
    assert on_board(board) == {
        **AGENT, "state/deep/want": b"x", "notes.txt": b"x", "lib/other.py": b"x",
    }  # fmt: skip


def test_a_board_that_becomes_another_node_forgets_what_it_was_told(board):
    flash(board.port)
    leave_behind(board, "state/deep/want", "data/web/file", "notes.txt")
    other = {**AGENT, "settings.json": b'{"node": "n2"}'}

    flash(board.port, other)

    assert on_board(board) == {**other, "notes.txt": b"x"}


def test_a_program_of_somebody_else_is_stopped_and_kept(board):
    theirs = b"import time\nwhile True:\n time.sleep(1)\n"
    (board.folder / "main.py").write_bytes(theirs)
    with SerialLine(board.port) as line:
        flash_repl.restart(line)

    flash(board.port)

    assert on_board(board) == {**AGENT, "main_before_fieldconf.py": theirs}


MACHINE = b"""
def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")
class WDT:
    def __init__(self, timeout):
        if timeout > 8388:
            raise ValueError("timeout too long")
        note("watchdog of %d ms" % timeout)
    def feed(self):
        note("fed")
class Timer:
    def __init__(self, number):
        pass
    def init(self, period, callback):
        note("every %d ms" % period)
        callback(self)
"""


def test_the_watchdog_of_an_agent_that_was_stopped_is_fed(board):
    (board.folder / "machine.py").write_bytes(MACHINE)
    flash(board.port)
    before = (board.folder / "notes").exists()
    flash(board.port)

    # On a board that ran no agent there is none to be fed.
    assert not before
    notes = (board.folder / "notes").read_text().splitlines()
    assert notes == ["watchdog of 8000 ms", "every 1000 ms", "fed"]


def test_the_board_runs_what_it_was_given(board):
    with SerialLine(board.port) as line:
        flash_repl.flash(line, AGENT)
        flash_repl.restart(line)
        heard = bytearray()
        until(lambda: heard.extend(line.read(0.1)) or b"agent runs" in heard)


def test_progress_goes_up_to_the_end(board):
    told = []

    flash(board.port, advance=lambda *news: told.append(news))

    size = sum(map(len, AGENT.values()))
    assert told[: len(AGENT)] == [("comparing", n + 1, len(AGENT)) for n in range(len(AGENT))]
    written = [news for news in told if news[0] == "writing"]
    assert written == sorted(written) and written[-1] == ("writing", size, size)
    assert told[-1] == ("verifying", len(AGENT), len(AGENT))


# -- refusals: nothing is changed


def test_a_board_with_too_little_memory_is_refused(tmp_path):
    board = PtyBoard(tmp_path / "flash", options=("-X", "heapsize=20k"))
    try:
        with pytest.raises(FlashError) as caught:
            flash(board.port)
    finally:
        board.close()

    assert caught.value.kind == "too-small"
    assert re.fullmatch(
        r"this board has too little memory: MicroPython 1\.\S+ on .* has \d+ KB free, "
        "the agent needs 24 KB",
        str(caught.value),
    )
    assert on_board(board) == {}


def test_files_compiled_for_another_micropython_are_refused(board):
    with pytest.raises(FlashError, match=r"compiled for version 5 .* takes 6") as caught:
        flash(board.port, {"lib/x.mpy": b"M\x05\x00\x1f"})

    assert caught.value.kind == "wrong-board"
    assert on_board(board) == {}


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("micropython", (1, 19, 1), "MicroPython 1.19.1 on x"),
        ("circuitpython", (9, 2, 0), "CircuitPython 9.2.0 on x"),
    ],
)
def test_another_or_an_older_python_is_refused(name, version, told):
    facts = board_files.Facts(
        name, version, 6, "x", "", 99999, True, True, True, True, 4096, 999999
    )

    with pytest.raises(FlashError) as caught:
        board_needs.check(facts, AGENT, board_needs.AGENT)
    assert str(caught.value) == (
        f"this board runs {told}, the agent needs MicroPython 1.20 or later"
    )


@pytest.mark.parametrize(("free", "fits"), [(2 * 4096, True), (2 * 4096 - 1, False)])
def test_room_is_counted_in_blocks_with_old_and_new_side_by_side(free, fits):
    facts = SimpleNamespace(block=4096, free=free)
    files, differ = {"a": b"x" * 4097}, {"a": 5000}

    if fits:
        board_needs.check_room(facts, files, differ)
    else:
        with pytest.raises(FlashError, match="do not fit: 8 KB more are needed"):
            board_needs.check_room(facts, files, differ)


# -- what may happen in between


def test_ctrl_c_leaves_the_board_tidy_and_at_its_prompt(board):
    def press(what, done, total):
        if what == "writing" and done > 3000:
            raise KeyboardInterrupt

    with SerialLine(board.port) as line:
        with pytest.raises(KeyboardInterrupt):
            flash_repl.flash(line, AGENT, press)
        line.write(b"print('I', 'am', 'here')\r\n")
        heard = bytearray()
        until(lambda: heard.extend(line.read(0.1)) or b"I am here" in heard)
    left = on_board(board)
    flash(board.port)

    assert "main.py" not in left and board_files.PART not in left
    assert on_board(board) == AGENT


def test_a_board_that_resets_in_between_is_written_to_the_end(board):
    total = sum(map(len, AGENT.values()))
    resets = iter([total // 3, total // 2])
    at = next(resets)

    def reset(what, done, total):
        nonlocal at
        if what == "writing" and at and done > at:
            at = next(resets, None)
            board._process.kill()

    outcome = flash(board.port, advance=reset)

    assert on_board(board) == AGENT
    assert sorted(outcome.written) == sorted(AGENT) and outcome.kept == 0
    assert at is None and board.resets >= 2 + 3


@pytest.fixture
def impatient(monkeypatch):
    """A lost byte is noticed by waiting in vain; here boards are quick."""
    monkeypatch.setattr(raw_repl, "_QUIET_S", 0.04)
    monkeypatch.setattr(raw_repl, "_LONGER_S", 0.1)
    monkeypatch.setattr(raw_repl, "_ANSWER_S", 0.4)
    monkeypatch.setattr(raw_repl, "_BANNER_S", 0.4)
    monkeypatch.setattr(raw_repl, "_RESET_S", 2.0)
    monkeypatch.setattr(board_files, "PATIENCE_S", 0.4)


def passing(board, act):
    """Call `act` with every chunk that passes, its side, and how many bytes came before."""
    passed = 0

    def spoil(from_board, data):
        nonlocal passed
        before = passed
        passed += len(data)
        return act(from_board, data, before)

    board.spoil = spoil
    return lambda: passed


def test_a_cable_pulled_at_any_byte_is_told_and_mended_by_running_it_again(board, impatient):
    count = passing(board, lambda from_board, data, before: data)
    flash(board.port)
    total = count()
    # Not the very last bytes: how many there are depends on how they are read.
    for cut in range(1, total * 9 // 10, total // 10):
        for path in reversed(sorted(board.folder.rglob("*"))):
            path.rmdir() if path.is_dir() else path.unlink()

        def pull(from_board, data, before, cut=cut):
            if before <= cut < before + len(data):
                board.unplug()
                return data[: cut - before]
            return data

        passing(board, pull)
        with pytest.raises(LineLost) as caught:
            flash(board.port)
        left = on_board(board)
        board.plug()
        passing(board, lambda from_board, data, before: data)
        flash(board.port)

        assert str(caught.value) == (
            f"the board at {board.port} is gone: the cable was pulled, or it lost power"
        )
        assert "run the same command" in caught.value.hint
        # Under its name is a file only if it is whole.
        left.pop(board_files.PART, None)
        assert left.items() <= AGENT.items(), cut
        assert "main.py" not in left or left == AGENT
        assert on_board(board) == AGENT, cut


@pytest.mark.parametrize("seed", range(8))
def test_noise_on_the_line_spoils_no_file(board, impatient, seed):
    dice = random.Random(seed)
    # A line that is bad, and one that is bad now and then.
    rate = 0.0004 if seed % 2 else 0.00005

    def noise(from_board, data, before):
        out = bytearray()
        for byte in data:
            if dice.random() < rate:
                out += dice.choice([b"", b"\xff\x00", bytes([byte ^ 0x20]), dice.randbytes(5)])
            else:
                out.append(byte)
        return bytes(out)

    passing(board, noise)
    try:
        flash(board.port)
        told = None
    except FlashError as error:
        told = error
    spoiled = on_board(board)
    passing(board, lambda from_board, data, before: data)
    flash(board.port)

    # Under its name is a file only if it is right.
    assert [path for path in AGENT if spoiled.get(path, AGENT[path]) != AGENT[path]] == []
    if told is None:
        assert AGENT.items() <= spoiled.items(), f"seed {seed}"
    else:
        assert told.hint, f"seed {seed}: {told}"
    assert AGENT.items() <= on_board(board).items(), f"seed {seed}"


class Says:
    """A REPL that answers what it is told to."""

    def __init__(self, answer):
        self.answer = answer

    def execute(self, code, patience_s=0):
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [b"", b"None", b"7", b"(1", b"(1, 2, 3)", b"('a', b'')", b"[1]", b"[('a', 1)]", b"(" * 9999],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda files: files.digest("x"),
        lambda files: list(files.walk("x")),
        lambda files: files._facts(),
    ],
    ids=["digest", "walk", "facts"],
)
def test_an_answer_of_another_shape_is_noise(ask, answer):
    files = board_files.BoardFiles.__new__(board_files.BoardFiles)
    files._repl = Says(answer)
    files.facts = SimpleNamespace(has_hash=True)

    with pytest.raises(NoSense, match="the board answered"):
        ask(files)


# -- a foreign board


@pytest.fixture(scope="module")
def microbit():
    """The port of a micro:bit; its flash is new for each module."""
    qemu = shutil.which("qemu-system-arm")
    if not (qemu and FIRMWARE.exists()):
        pytest.skip("needs qemu-system-arm and firmware-microbit-micropython: apt installs them")
    process = subprocess.Popen(
        [
            *(qemu, "-M", "microbit", "-nographic", "-monitor", "null", "-serial", "pty"),
            *("-device", f"loader,file={FIRMWARE}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        port = next(re.findall(r"/dev/pts/\d+", line) for line in process.stdout)
        assert port
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield port[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_microbit_is_refused_as_a_node(microbit):
    with pytest.raises(FlashError) as caught:
        flash(microbit)

    assert caught.value.kind == "too-small"
    assert re.fullmatch(
        r"this board cannot hold the agent: MicroPython 1\.9\.2 on microbit has \d KB of free "
        "memory and a file system without folders",
        str(caught.value),
    )
    assert caught.value.hint.startswith("the agent needs 24 KB and MicroPython 1.20 or later")


def test_a_microbit_takes_small_files_byte_for_byte(microbit):
    files = {"every.bin": bytes(range(256)) * 4, "note.txt": b"caf\xc3\xa9 \\ ' \" \x04\x03\x01"}
    plain = board_needs.Needs()

    first = flash(microbit, files, needs=plain)
    second = flash(microbit, files, needs=plain)

    assert first.written == sorted(files)
    assert second.written == [] and second.kept == 2
