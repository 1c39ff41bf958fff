"""A board from nothing to its first words, by every way of flashing."""

import threading
from dataclasses import replace

import pytest

from fieldconf_firmware_images import boards, building, flash_uf2, flashing, ports
from fieldconf_firmware_images.firmware import Firmware
from fieldconf_firmware_images.flash_errors import FlashError
from fieldconf_microagent import codec
from fieldconf_microagent.link_paho import PahoLink
from support import brokers
from support.images import VERSION, esp_firmware, settings, uf2_file
from support.ptyboard import PtyBoard
from support.waiting import until


class Hello:
    """Answers whether a node was heard since it was asked last."""

    def __init__(self, url, node="n7"):
        self._link = PahoLink(url, "hello", keepalive_s=5)
        self._link.connect(("hello/will", b"gone"))
        self._topic = f"fc/{node}/live"
        until(lambda: ("up",) in [event[:1] for event in self._link.poll(50)])
        self._link.subscribe([self._topic])
        self.boots = []

    def __call__(self):
        heard = len(self.boots)
        for event in self._link.poll(50):
            if event[:2] == ("message", self._topic):
                _, boot, online = codec.unpack(event[2])
                if online and boot not in self.boots:
                    self.boots.append(boot)
        return len(self.boots) > heard

    def close(self):
        self._link.close()


class Told(list):
    """What a person sees."""

    def advance(self, what, done, total):
        self.append((what, done, total))

    @property
    def lines(self):
        return [each for each in self if isinstance(each, str)]


def flash(image, port, method=None, **more):
    told = Told()
    order = flashing.Order(image, str(port), method or image.board.flashing.method, **more)
    flashing.flash(order, told.advance, told.append)
    return told


@pytest.fixture
def board(tmp_path):
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


@pytest.mark.parametrize("kind", ["mosquitto", "embedded"])
def test_a_board_is_flashed_through_its_repl_and_heard_on_the_broker(agent, board, tmp_path, kind):
    with brokers.running(kind, tmp_path / "broker") as broker:
        hello = Hello(broker.url)
        image = building.build(boards.load("micropython"), settings(broker.url))
        try:
            first = flash(image, board.port, hello=hello)
            # The agent runs: it is stopped, compared, and starts again.
            second = flash(image, board.port, hello=hello)
        finally:
            hello.close()

    count = len(image.files)
    assert first.lines[0] == f"flashing {board.port} through the REPL"
    assert first.lines[1].startswith("the board runs MicroPython 1.")
    assert first.lines[2:] == [
        f"{count} files written and read back",
        "waiting for n7 to say hello",
        "n7 said hello",
    ]
    assert second.lines[2] == f"all {count} files were there already, read and compared"
    assert hello.boots == [1, 2]


def test_an_agent_that_has_the_line_for_itself_gives_it_back(agent, board):
    image = building.build(boards.load("pybv11"), settings("serial:"))
    flash(image, board.port)
    until(lambda: (board.folder / "state").exists())

    told = flash(image, board.port)

    assert f"all {len(image.files)} files were there already, read and compared" in told


def test_a_board_that_is_not_heard_is_quoted(agent, board):
    image = building.build(boards.load("micropython"), settings())
    broken = b"# fieldconf_microagent\nraise OSError('no such network: attic')\n"
    image = replace(image, files={**image.files, "main.py": broken})

    with pytest.raises(FlashError) as caught:
        flash(image, board.port, hello=lambda: False)

    assert caught.value.kind == "no-hello"
    assert str(caught.value).startswith("n7 is flashed, but was not heard; it wrote:\n")
    assert "\n  OSError: no such network: attic\n" in str(caught.value)


def test_a_silent_board_is_waited_for_no_longer_than_said(agent, board):
    image = building.build(boards.load("micropython"), settings())
    image = replace(image, files={**image.files, "main.py": b"import time\ntime.sleep(60)\n"})

    with pytest.raises(FlashError, match="n7 is flashed, but was not heard"):
        flash(image, board.port, hello=lambda: False, patience_s=0.3)


def test_auto_takes_the_only_board(agent, board, monkeypatch):
    monkeypatch.setattr(ports, "found", lambda: [ports.Port(board.port, "a board")])
    monkeypatch.setattr(ports.chosen, "__defaults__", (ports.found,))
    image = building.build(boards.load("micropython"), settings())

    assert flash(image, "auto").lines[0] == f"flashing {board.port} through the REPL"


def test_an_esp32_is_flashed_by_esptool(agent):
    mock = pytest.importorskip("esp32_mock_bootloader.api", reason="needs esp32-mock-bootloader")
    firmware = Firmware("fw.bin", esp_firmware(0, 0x1000), "", False)
    kind = boards.load("esp32").with_flash_size(0x300000)
    image = building.build(kind, settings(), firmware)

    with mock.mock_bootloader("esp32") as chip:
        told = flash(image, chip.url(), hello=lambda: True)

    assert told.lines == [
        f"flashing {chip_url(told)} with esptool",
        "written, read back and compared by the chip's own hashes",
        "press the board's reset button: this line has no wire for it",
        "waiting for n7 to say hello",
        "n7 said hello",
    ]
    total = len(image.merged)
    assert ("writing", total, total) in told


def chip_url(told):
    return told.lines[0].split()[1]


def test_a_pico_is_flashed_by_copying(agent, tmp_path, monkeypatch):
    kind = boards.load("pico-w")
    program = uf2_file(kind.micropython.family, 0x10000000, VERSION.ljust(1024))
    firmware = Firmware("fw.uf2", program, "", False)
    image = building.build(kind, settings(), firmware)
    folder = tmp_path / "RPI-RP2"
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    monkeypatch.setattr(flashing, "_BOOT_S", 0.0)
    taken = []

    def starts():
        until(lambda: (folder / "fieldconf.uf2").exists())
        until(lambda: (folder / "fieldconf.uf2").stat().st_size == len(image.merged))
        taken.append((folder / "fieldconf.uf2").read_bytes())
        (folder / "INFO_UF2.TXT").unlink()

    thread = threading.Thread(target=starts, daemon=True)
    thread.start()
    told = flash(image, folder)
    thread.join(10)

    assert taken == [image.merged]
    assert told.lines == [
        f"flashing {folder} by copying",
        "all blocks arrived: the board starts",
        "not read back: no serial port of the board came up",
    ]


def test_a_pico_that_runs_is_read_back_through_its_repl(agent, board, tmp_path, monkeypatch):
    """The board is asked for its boot loader first; what comes up afterwards is compared."""
    image = building.build(boards.load("pico-w"), settings())
    for path, content in image.files.items():
        (board.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (board.folder / path).write_bytes(content)
    (board.folder / "main.py").unlink()
    (board.folder / "machine.py").write_text("def bootloader():\n open('asked', 'w').close()\n")
    port = ports.Port(board.port, "Raspberry Pi Pico with MicroPython")
    drive = flash_uf2.Drive(tmp_path, tmp_path, "RPI-RP2")
    copied = []
    monkeypatch.setattr(
        flash_uf2, "drives", lambda: [drive] if (board.folder / "asked").exists() else []
    )
    monkeypatch.setattr(flash_uf2, "flash", lambda *about: copied.append(about[:2]))
    # It vanishes with the boot loader, and comes up with MicroPython.
    monkeypatch.setattr(ports, "found", lambda: [port] if copied or not asked(board) else [])

    told = flash(image, board.port)

    assert copied == [(drive, "RPI-RP2")]
    assert told.lines[0] == f"asking the MicroPython at {board.port} for its boot loader"
    assert f"1 files written and read back, {len(image.files) - 1} were as they should be" in told


def asked(board):
    return (board.folder / "asked").exists()


def test_a_folder_gets_the_files_of_the_desktops_board(agent, tmp_path):
    image = building.build(boards.load("unix"), settings())

    first = flash(image, tmp_path)
    second = flash(image, tmp_path)

    held = {
        str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert held == image.files
    count = len(held)
    assert first.lines[0] == f"{count} of {count} files written to {tmp_path}"
    assert second.lines[0] == f"0 of {count} files written to {tmp_path}"


def test_what_has_a_disk_is_not_flashed(agent):
    image = building.build(boards.load("linux"), settings())

    with pytest.raises(FlashError, match="this is not flashed") as caught:
        flash(image, "auto")
    assert caught.value.hint == "make its image with 'fieldconf image linux'"
