"""Boards whose MicroPython has a ROMFS get the agent there, through the raw REPL.

MicroPython for the desktop mounts a ROMFS, but has no `vfs.rom_ioctl`, which writes it: a stand-in
in MicroPython, `support/rom_firmware.py`, erases and writes memory with the ways of flash.
"""

from types import SimpleNamespace

import pytest

from fieldconf_firmware_images import agent_files, board_needs, flash_repl, romfs_image, unflash
from fieldconf_firmware_images.flash_errors import LineLost
from fieldconf_firmware_images.serial_line import SerialLine
from support.ptyboard import PtyBoard
from support.waiting import until

ROM = {
    "lib/fieldconf_microagent/main_board.py": b"def main(place):\n print('agent in ROM')\n",
    "lib/fieldconf_microagent/bytes.bin": bytes(range(256)) * 50 + b"x",
}
FILES = {
    "settings.json": b'{"node": "n1", "fleet": "f"}',
    "main.py": agent_files._MAIN.encode(),
}
ALL = {**ROM, **FILES}
SIZE = 0x8000
EMPTY = b"\xff" * SIZE


class RomBoard(PtyBoard):
    """A board with a ROMFS."""

    def __init__(self, folder, way="files", content=EMPTY):
        self.rom = folder / "rom"
        self.rom.write_bytes(content)
        super().__init__(folder / "flash", link=folder / "port", in_rom=(self.rom, way))

    def on_it(self):
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def is_right(self):
        image = romfs_image.pack(ROM)
        return self.on_it() == FILES and self.rom.read_bytes()[: len(image)] == image


@pytest.fixture
def make_board(tmp_path):
    made = []

    def make(*about, **more):
        made.append(RomBoard(tmp_path, *about, **more))
        return made[-1]

    yield make
    for board in made:
        board.close()


def flash(board, files=ALL, **more):
    with SerialLine(board.port) as line:
        return flash_repl.flash(line, files, **more)


def said(board):
    """Restart the board, and return a function that returns what it said since."""
    with SerialLine(board.port) as line:
        flash_repl.restart(line)
        heard = bytearray()
        until(lambda: heard.extend(line.read(0.1)) or b">>> " in heard[100:])
    return heard.decode()


@pytest.mark.parametrize("way", ["files", "blocks"])
def test_agent_goes_into_the_romfs_once_and_runs_from_there(make_board, way):
    board = make_board(way)
    told = []

    first = flash(board, advance=lambda *news: told.append(news))
    again = flash(board)

    assert board.is_right()
    used = len(romfs_image.pack(ROM))
    assert first.rom == flash_repl.InRom(used, SIZE, True, "")
    assert again.rom == flash_repl.InRom(used, SIZE, False, "")
    assert first.written == ["settings.json", "main.py"] and again.written == []
    written = [news for news in told if news[0] == "writing"]
    total = used + sum(map(len, FILES.values()))
    assert written == sorted(written) and written[-1] == ("writing", total, total)
    assert "agent in ROM" in said(board)


def test_agent_among_the_files_goes_and_one_that_comes_later_goes_before(make_board):
    board = make_board()
    package = board.folder / "lib/fieldconf_microagent"
    package.mkdir(parents=True)
    (package / "old.py").write_text("pass")

    outcome = flash(board)
    gone = package.exists()
    package.mkdir(parents=True)
    (package / "main_board.py").write_text("def main(place):\n print('agent in lib')\n")

    assert outcome.removed == ["lib/fieldconf_microagent/old.py"] and not gone
    assert "agent in lib" in said(board)


@pytest.mark.parametrize("part", [0.3, 0.6])
def test_cut_leaves_a_board_without_a_romfs_that_the_next_run_mends(make_board, part):
    board = make_board(content=romfs_image.pack(ROM).ljust(SIZE, b"\xff"))
    newer = {**ALL, "lib/fieldconf_microagent/bytes.bin": b"y" * 12_800}

    def pull(what, done, total):
        if what == "writing" and done > part * total:
            board.unplug()

    with pytest.raises(LineLost):
        flash(board, newer, advance=pull)
    half = board.rom.read_bytes()
    board.plug()
    flash(board)

    assert half[:3] == b"\xff\xff\xff" and half != EMPTY
    assert board.is_right()


def test_byte_that_is_garbled_on_the_way_is_written_again(make_board):
    board = make_board()
    garbled = []

    def garble(from_board, data):
        if not from_board and not garbled and (at := data.find(b"AAECAwQF")) >= 0:
            garbled.append(at)
            return data[:at] + b"B" + data[at + 1 :]
        return data

    board.spoil = garble
    flash(board)

    assert garbled and board.is_right()


def test_romfs_that_is_too_small_leaves_the_agent_among_the_files(make_board):
    board = make_board(content=b"\xff" * 4096)

    outcome = flash(board)

    assert board.on_it() == ALL and board.rom.read_bytes() == b"\xff" * 4096
    assert outcome.rom.used == 0
    assert outcome.rom.why.startswith("its ROMFS has 4,096 bytes, and the agent 12,")


def test_romfs_of_somebody_else_stays(make_board):
    theirs = romfs_image.pack({"font.bin": b"abc", **ROM}).ljust(SIZE, b"\xff")
    board = make_board(content=theirs)

    outcome = flash(board)

    assert board.on_it() == ALL and board.rom.read_bytes() == theirs
    assert outcome.rom.used == 0
    assert outcome.rom.why.startswith("its ROMFS holds somebody else's files, which stay")


@pytest.mark.parametrize("others", [{}, {"font.bin": b"abc"}], ids=["ours", "somebody else's"])
def test_board_that_is_given_back_keeps_no_agent_in_its_romfs(make_board, others):
    content = romfs_image.pack({**ROM, **others}).ljust(SIZE, b"\xff")
    board = make_board(content=content)
    (board.folder / "settings.json").write_bytes(FILES["settings.json"])

    with SerialLine(board.port) as line:
        assert unflash.unflash(line, "f", "n1")

    assert (board.rom.read_bytes()[:3] == b"\xff\xff\xff") == (not others)
    assert (board.rom.read_bytes() == content) == bool(others)


@pytest.mark.parametrize(("heap", "warns"), [(36 * 1024, True), (100 * 1024, False)])
def test_little_memory_without_a_romfs_is_worth_a_word(heap, warns):
    why = board_needs.why_not_in_place(SimpleNamespace(heap=heap), 0, 50_000, False)

    assert bool(why) == warns
    if warns:
        assert why.startswith("its MicroPython has no ROMFS to run the agent from, and 36 KB of")


def test_main_of_every_board_lets_lib_go_before_rom():
    """A board without ROM has nothing to put behind."""
    path = ["", ".frozen", "/rom", "/rom/lib", "/flash", "/flash/lib"]
    for start in (path, ["", ".frozen", "/lib"]):
        found = list(start)
        system = SimpleNamespace(path=found)
        lines = FILES["main.py"].decode()
        code = lines[: lines.index("from fieldconf")].replace("import sys\n", "")
        exec(code, {"sys": system})
        assert found == [one for one in start if "rom" not in one] + [
            one for one in start if "rom" in one
        ]
