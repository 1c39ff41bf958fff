"""The boards that come with Fieldconf are complete; what is wrong in a description is named."""

import re
from pathlib import Path

import pytest

from fieldconf_firmware_images import board_schema, boards
from fieldconf_firmware_images.boards import BoardError

ROOT = Path(__file__).parents[2]

GOOD = """
title = "A board"
chip = "esp32"
mcu = "Xtensa"
arch = "xtensawin"
network = ["wifi"]

[flash]
size = 0x400000

[filesystem]
kind = "littlefs"
offset = 0x200000
block_size = 4096
read_size = 32
prog_size = 32
lookahead_size = 32

[micropython]
version = "1.28.0"
url = "https://example.org/"
file = "x.bin"

[flashing]
method = "esptool"
"""


def parse(text):
    return boards.parse(text, "mine", "mine.toml")


def test_every_kind_of_board_that_people_have_is_there():
    assert boards.names() == [
        "esp32", "esp32-c3", "esp32-s3", "esp8266", "linux", "micropython", "pico-w", "pico2-w",
        "pybv11", "unix",
    ]  # fmt: skip


@pytest.mark.parametrize("name", boards.names())
def test_file_system_ends_where_the_flash_does(name):
    board = boards.load(name)
    files = board.filesystem

    if files.offset is None:
        assert files.kind in ("fat", "posix") and files.size is None
    else:
        assert files.offset + files.size + files.reserved == board.flash_size


def test_file_system_takes_the_rest_of_the_flash():
    board = parse(GOOD)

    assert board.filesystem.size == 0x200000
    assert board.with_flash_size(0x1000000).filesystem.size == 0xE00000
    assert board.with_flash_size(0x400000) is board


def test_flash_without_room_for_files_is_refused():
    with pytest.raises(BoardError, match="mine: a flash of 1048576 bytes has no room for files"):
        parse(GOOD).with_flash_size(0x100000)


def test_odd_size_of_flash_is_refused():
    with pytest.raises(BoardError, match="mine: no flash has 8000000 bytes"):
        parse(GOOD).with_flash_size(8_000_000)


def test_pico_has_one_size_of_flash():
    with pytest.raises(BoardError, match="pico-w has one size of flash only"):
        boards.load("pico-w").with_flash_size(0x400000)


def test_cache_is_what_micropython_makes_of_the_other_sizes():
    assert boards.load("esp32").filesystem.cache_size == 128
    assert boards.load("pico-w").filesystem.cache_size == 1024


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'kind = "littlefs"',
            'kind = "ntfs"',
            "filesystem.kind: expected one of littlefs, fat, posix, found 'ntfs'",
        ),
        ("size = 0x400000", "", "flash.size: is missing; expected a number of bytes"),
        (
            "size = 0x400000",
            'size = "4MB"',
            "flash.size: expected a number of bytes, found '4MB'",
        ),
        (
            "size = 0x400000",
            "size = true",
            "flash.size: expected a number of bytes, found True",
        ),
        ("mcu =", "cpu =", "cpu: there is no such key"),
        (
            '["wifi"]',
            '["lora"]',
            "network: expected a list of wifi, ethernet, none, found ['lora']",
        ),
        (
            'file = "x.bin"',
            'file = "x.bin"\nsha256 = "abc"',
            "micropython.sha256: expected 64 hexadecimal digits in lower case, found 'abc'",
        ),
        (
            "block_size = 4096",
            "block_size = 4000",
            "filesystem.block_size: expected a power of two, in bytes, found 4000",
        ),
        (
            "offset = 0x200000",
            "offset = 0x200001",
            "filesystem.size: expected whole blocks of 4096 bytes, found 2097151",
        ),
        (
            "offset = 0x200000",
            "offset = 0x200000\nsize = 0x300000",
            "filesystem.size: expected an end within flash.size",
        ),
        (
            'method = "esptool"',
            'method = "uf2"',
            "micropython.family: is missing; expected the chip's UF2 family",
        ),
    ],
    ids=[
        "unknown file system",
        "no size of the flash",
        "size as text",
        "size as true",
        "misspelt key",
        "unknown network",
        "bad hash",
        "odd block",
        "odd offset",
        "beyond the flash",
        "UF2 without a family",
    ],
)
def test_error_names_file_and_key_and_what_was_expected(old, new, message):
    with pytest.raises(BoardError) as caught:
        parse(GOOD.replace(old, new))

    assert str(caught.value) == f"mine.toml: {message}"


def test_what_is_not_toml_is_refused_with_the_place():
    with pytest.raises(BoardError, match=r"mine.toml: not TOML: .*line 2"):
        parse("a = 1\nb = = 2")


def test_unknown_board_is_told_with_those_that_there_are():
    with pytest.raises(BoardError, match="there is no board 'esp23'; known are esp32, esp32-c3"):
        boards.load("esp23")


def test_board_of_ones_own_is_read_from_its_file(tmp_path):
    (tmp_path / "mine.toml").write_text(GOOD)

    assert boards.load(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(BoardError, match=r"cannot read the board .*other\.toml"):
        boards.load(str(tmp_path / "other.toml"))


def test_description_in_the_readme_is_right():
    page = (ROOT / "firmware-images/README.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    board = parse(text)

    assert board.filesystem == boards.load("esp32").filesystem
    assert {key.partition(".")[2] or key for key in board_schema.SCHEMA} <= set(
        re.findall(r"\w+", page)
    )


BOARDS = "firmware-images/boards"


def test_page_on_images_names_every_board():
    page = (ROOT / "docs/flashing/images.md").read_text()

    named = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(file.stem for file in (ROOT / BOARDS).glob("*.toml"))
