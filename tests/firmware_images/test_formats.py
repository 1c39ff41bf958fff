"""What strangers' files hold is either taken or refused in words, whatever they hold."""

import functools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fieldconf_firmware_images import boards, esp, uf2
from fieldconf_firmware_images.errors import ImageError
from support.images import WITH_VFS, WITHOUT_VFS, esp8266_firmware, esp_firmware, uf2_file

FAMILY = 0xE48BFF56
FLASH = range(0x10000000, 0x10100000)
UF2 = uf2_file(FAMILY, FLASH.start, bytes(range(256)) * 20)


@functools.cache
def good(name):
    if name == "esp8266":
        return esp8266_firmware()
    return esp_firmware(0, 0x1000, WITH_VFS if name == "vfs" else WITHOUT_VFS)


def changed(content, changes, end):
    """Return content with some bytes replaced, and cut."""
    spoilt = bytearray(content)
    for at, value in changes:
        spoilt[at % len(spoilt)] = value
    return bytes(spoilt[: end % (len(spoilt) + 1)])


CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=4)
#: Where boot loader, partition table and program of the ESP32 have their headers.
PLACES = st.sampled_from([0, 0x7000, 0xF000]).flatmap(lambda start: st.integers(start, start + 200))
HEADERS = st.lists(st.tuples(PLACES, st.integers(0, 255)), max_size=4)
LENGTHS = st.one_of(st.integers(0, 1 << 20), st.just(-1))


@pytest.mark.parametrize("name", ["vfs", "none", "esp8266"])
@given(changes=HEADERS, end=LENGTHS)
@settings(deadline=None, max_examples=150)
def test_spoilt_firmware_is_refused_in_words_or_its_place_is_within_the_flash(name, changes, end):
    board = boards.load("esp8266" if name == "esp8266" else "esp32")

    try:
        offset, size = esp.file_system(changed(good(name), changes, end), board, "x.bin")
    except ImageError as error:
        assert "x.bin" in str(error)
    else:
        assert 0 < offset < offset + size <= board.flash_size
        assert offset % 4096 == size % 4096 == 0


@given(changes=CHANGES, end=LENGTHS)
@example(changes=[(24, 0xFF), (25, 0xFF), (26, 0xFF), (27, 0xFF)], end=512)
@settings(deadline=None)
def test_spoilt_uf2_is_refused_in_words_or_lies_within_the_flash(changes, end):
    try:
        held = uf2.parse(changed(UF2, changes, end), FAMILY, FLASH, "x.uf2")
    except ImageError as error:
        assert str(error).startswith("x.uf2 ")
    else:
        assert FLASH.start <= held.start < held.end <= FLASH.stop


@given(st.dictionaries(st.integers(0, 4000), st.binary(min_size=256, max_size=256), min_size=1))
@settings(deadline=None)
def test_what_is_written_as_uf2_is_read_again(numbered):
    pages = {FLASH.start + 256 * number: page for number, page in numbered.items()}

    held = uf2.parse(uf2.write(pages, FAMILY), FAMILY, FLASH, "x.uf2")

    assert held.pages == pages
    for address, page in pages.items():
        at = address - held.start
        assert held.content[at : at + 256] == page
