"""Where MicroPython has a ROMFS, the agent's modules lie there, and all else in the file system."""

import hashlib

import pytest

from fieldconf_firmware_images import boards, building, littlefs_image, romfs_image
from fieldconf_firmware_images.errors import ImageError
from fieldconf_firmware_images.firmware import Firmware
from support.images import (
    VERSION,
    VERSION_WITH_ROMFS,
    WITH_ROMFS,
    WITH_VFS,
    esp8266_firmware,
    esp_firmware,
    romfs_files,
    settings,
    uf2_file,
    uf2_flash,
)

#: As `mpremote romfs build`, release 1.29.0, made it of these files.
FILES = {"two.txt": b"hello", "lib/one.mpy": b"M\6"}
THEIRS = (
    "d2cd3180250412036c6962050c076f6e652e6d707902024d06"
    "050f0774776f2e747874020568656c6c6f"
)  # fmt: skip
FOR_AGENT = ["main.py", "settings.json"]
PICO = """
title = "Pico W with ROMFS"
chip = "rp2040"
mcu = "Cortex-M0+"
network = ["wifi"]
[flash]
size = 0x200000
[filesystem]
kind = "littlefs"
offset = 0x12C000
size = 0xD4000
block_size = 4096
read_size = 32
prog_size = 256
lookahead_size = 32
[romfs]
offset = 0x10C000
size = 0x20000
[micropython]
version = "1.28.0"
url = "https://example.org/"
file = "x.uf2"
base = 0x10000000
family = 0xE48BFF56
[flashing]
method = "uf2"
drive = "RPI-RP2"
"""


def firmware(content):
    return Firmware("firmware.bin", content, hashlib.sha256(content).hexdigest(), False)


def build(board, content=None):
    return building.build(board, settings(), firmware(content) if content else None)


def refusal(board, content):
    with pytest.raises(ImageError) as caught:
        build(board, content)
    return str(caught.value)


def in_file_system(image):
    return sorted(littlefs_image.unpack(image.filesystem, image.board.filesystem))


def test_image_is_what_the_tool_of_micropython_makes():
    assert romfs_image.pack(FILES) == romfs_image.pack(dict(sorted(FILES.items())))
    assert romfs_image.pack(FILES).hex() == THEIRS
    assert romfs_image.pack({}).hex() == "d2cd3100"


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_image_of_any_size_is_read_again_and_even(size):
    files = {"a/b/c": b"x" * size, "a/d": b"", "e": b"y"}

    image = romfs_image.pack(files)

    assert romfs_files(image) == files
    assert len(image) % 2 == 0


def test_modules_of_an_esp8266_lie_between_firmware_and_files(agent):
    content = esp8266_firmware()

    image = build(boards.load("esp8266"), content)

    assert romfs_files(image.romfs) == agent
    assert in_file_system(image) == FOR_AGENT
    end = 0xB0000 + len(image.romfs)
    assert image.merged[0xB0000:end] == image.romfs
    assert set(image.merged[end:0x100000]) == set(image.merged[len(content) : 0xB0000]) == {0xFF}
    assert image.merged[0x100000:] == image.filesystem
    told = "\n".join(image.summary())
    assert f"{len(agent)} modules that run in place; they take {len(image.romfs):,} of the " in told
    assert "of the 327,680 bytes at 0xb0000" in told and "has to be one with ROMFS" not in told


def test_files_of_an_esp8266_alone_are_one_piece_and_need_its_firmware(agent):
    image = build(boards.load("esp8266"))

    assert image.packed.startswith(image.romfs)
    assert image.packed[0x50000:] == image.filesystem
    assert image.usage == "esptool --chip esp8266 write-flash 0xb0000 OUT"
    assert "the board's MicroPython has to be one with ROMFS" in "\n".join(image.summary())


def test_firmware_without_romfs_is_refused_for_an_esp8266_and_the_right_one_is_named(agent):
    assert refusal(boards.load("esp8266"), esp8266_firmware(VERSION)) == (
        "firmware.bin has no ROMFS, which the agent needs on ESP8266 (NodeMCU, Wemos D1 mini): get "
        "ESP8266_GENERIC-FLASH_2M_ROMFS-20260406-v1.28.0.bin from "
        "https://micropython.org/download/ESP8266_GENERIC/"
    )


def test_firmware_that_reaches_into_its_romfs_is_refused(agent):
    long = esp8266_firmware().ljust(0xB0001, b"\4")

    said = refusal(boards.load("esp8266"), long)

    assert said == "firmware.bin is too long: it ends after the start of its ROMFS"


def test_table_in_the_firmware_of_an_esp32_decides_where_the_romfs_is(agent):
    content = esp_firmware(0, 0x1000, WITH_ROMFS, VERSION_WITH_ROMFS)

    image = build(boards.load("esp32"), content)

    assert romfs_files(image.romfs) == agent and in_file_system(image) == FOR_AGENT
    assert [offset for offset, _ in image.parts] == [0x1000, 0x1E0000, 0x200000]
    assert image.merged[0x1E0000 : 0x1E0000 + len(image.romfs)] == image.romfs


@pytest.mark.parametrize(
    ("table", "text"),
    [(WITH_VFS, VERSION_WITH_ROMFS), (WITH_ROMFS, VERSION)],
    ids=["no partition", "not built in"],
)
def test_esp32_without_romfs_has_its_modules_among_its_files(agent, table, text):
    image = build(boards.load("esp32"), esp_firmware(0, 0x1000, table, text))

    assert image.romfs is None
    assert in_file_system(image) == sorted([*FOR_AGENT, *agent])


def test_romfs_that_is_too_small_is_told_with_both_sizes(agent):
    table = WITH_ROMFS.replace("0x20000,", "0x1000,")
    content = esp_firmware(0, 0x1000, table, VERSION_WITH_ROMFS)

    said = refusal(boards.load("esp32"), content)

    assert said.startswith("the agent does not fit into the board's ROMFS: it has ")
    assert said.endswith(
        " bytes, and there is room for 4,096; take firmware with a larger ROMFS, or without one"
    )


def test_board_of_ones_own_gets_firmware_modules_and_files_in_one_copy(agent):
    board = boards.parse(PICO, "mine", "mine.toml")
    content = uf2_file(0xE48BFF56, 0x10000000, VERSION_WITH_ROMFS.ljust(8192, b"\5"))

    image = build(board, content)

    flash = uf2_flash(image.merged, 0xE48BFF56, 0x200000)
    assert flash[0x10C000 : 0x10C000 + len(image.romfs)] == image.romfs
    assert flash[0x12C000:] == image.filesystem
    assert romfs_files(image.romfs) == agent and in_file_system(image) == FOR_AGENT
    without = uf2_file(0xE48BFF56, 0x10000000, VERSION.ljust(8192, b"\5"))
    assert refusal(board, without).startswith("firmware.bin has no ROMFS, which the agent needs")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 0x20000\n", "", "romfs.size: is missing; expected a number of bytes"),
        ("offset = 0x10C000\n", "", "romfs.offset: is missing; expected a number of bytes"),
        ("0x10C000", "'1MB'", "romfs.offset: expected a number of bytes, found '1MB'"),
        (
            "size = 0x20000\n",
            "size = 0x10000\n",
            "romfs.size: expected an end at filesystem.offset, 0x12c000, found 0x11c000",
        ),
        (
            '"uf2"',
            '"raw-repl"',
            "romfs.size: expected none, since this board is asked for it, found 0x20000",
        ),
    ],
)
def test_wrong_place_of_a_romfs_is_named(old, new, message):
    with pytest.raises(boards.BoardError) as caught:
        boards.parse(PICO.replace(old, new), "mine", "mine.toml")

    assert str(caught.value) == "mine.toml: " + message


@pytest.mark.parametrize("name", boards.names())
def test_romfs_is_where_firmware_can_run_from(name):
    """An ESP8266 sees the first MiB of its flash as memory; stock firmware of no other has one."""
    romfs = boards.load(name).romfs

    assert (romfs is not None) == (name == "esp8266")
    assert romfs is None or romfs.offset + romfs.size == 1 << 20
