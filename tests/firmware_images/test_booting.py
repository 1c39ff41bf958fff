"""An image is mounted by MicroPython's own LittleFS and ROMFS; its agent starts and is heard."""

from pathlib import Path

import pytest

from fieldconf_firmware_images import boards, building, littlefs_image
from support import brokers, interpreters, rom
from support.hearing import Listener, powered
from support.images import settings

FROM_FLASH = Path(__file__).parents[1] / "support" / "from_flash.py"


@pytest.fixture(params=["esp32, embedded", "pico-w, mosquitto"])
def surroundings(request, tmp_path):
    """Return a kind of board and a running broker."""
    name, kind = request.param.split(", ")
    with brokers.running(kind, tmp_path / "broker") as running:
        yield boards.load(name), running


def test_board_boots_from_its_image_and_is_heard(agent, surroundings, tmp_path):
    board, broker = surroundings
    image = building.build(board, settings(broker.url))
    flash = tmp_path / "flash"
    flash.write_bytes(image.filesystem)
    sizes = [str(board.filesystem.read_size), str(board.filesystem.prog_size)]
    command = [interpreters.find("micropython"), FROM_FLASH, flash, *sizes]
    listener = Listener(broker.url)
    try:
        # The second time it has to find in its flash that there was a first.
        for boot in (1, 2):
            with powered(command, tmp_path):
                listener.hear(1, boot, True)
    finally:
        listener.close()

    files = littlefs_image.unpack(flash.read_bytes(), board.filesystem)
    assert {path: files[path] for path in image.files} == image.files
    assert any(path.startswith("state/") for path in files)


@pytest.mark.parametrize("surroundings", ["esp8266, embedded"], indirect=True)
def test_board_boots_from_its_romfs_and_its_files(agent, surroundings, tmp_path):
    """The modules run in place, outside the heap, which has what an ESP8266 has (32 bits)."""
    rom.need()
    board, broker = surroundings
    image = building.build(board, settings(broker.url))
    command = rom.boot(tmp_path, board, image.packed, "-X", "heapsize=32wK")
    listener = Listener(broker.url)
    try:
        for boot in (1, 2):
            with powered(command, tmp_path):
                listener.hear(1, boot, True)
    finally:
        listener.close()

    size = board.romfs.size
    assert (tmp_path / "rom").read_bytes()[:size] == image.packed[:size]
    files = littlefs_image.unpack((tmp_path / "flash").read_bytes(), board.filesystem)
    assert not any(path.startswith("lib/") for path in files)
    assert any(path.startswith("state/") for path in files)
