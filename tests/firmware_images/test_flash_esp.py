"""Chips of Espressif's, by esptool: a boot loader that is none, and what may go wrong with it."""

import hashlib
import os
import random
import socket

import pytest

from fieldconf_firmware_images import flash_esp
from fieldconf_firmware_images.flash_errors import FlashError, LineLost, NoSense
from support.relay import Relay

mock = pytest.importorskip("esp32_mock_bootloader.api", reason="needs esp32-mock-bootloader")

RANDOM = random.Random(1)
PARTS = [
    # Across a border of blocks.
    (0xC000, RANDOM.randbytes(30_001)),
    (0x200000, RANDOM.randbytes(3000) + b"\xff" * 300_000),
]
SIZE = sum(len(content) for _, content in PARTS)


@pytest.fixture(scope="module")
def chips():
    """Boot loaders by the names of their chips; what was written stays."""
    running = {}

    def get(chip):
        if chip not in running:
            running[chip] = mock.mock_bootloader(chip)
        return running[chip]

    yield get
    for each in running.values():
        each.stop()


@pytest.fixture
def esp32(chips):
    chip = chips("esp32")
    chip.erase_flash()
    return chip.url()


class Log(list):
    def __call__(self, *news):
        self.append(news)


@pytest.fixture
def written(monkeypatch):
    """Which pieces are really written, as esptool is told."""
    from esptool.loader import ESPLoader

    begun = []
    plain, packed = ESPLoader.flash_begin, ESPLoader.flash_defl_begin

    def begin(self, size, offset, *more, **named):
        begun.append(offset)
        return plain(self, size, offset, *more, **named)

    def begin_packed(self, size, compressed, offset, *more, **named):
        begun.append(offset)
        return packed(self, size, compressed, offset, *more, **named)

    monkeypatch.setattr(ESPLoader, "flash_begin", begin)
    monkeypatch.setattr(ESPLoader, "flash_defl_begin", begin_packed)
    return begun


def holds(url, parts):
    """Tell whether the chip's hashes of its flash are those of the parts; esptool asks, not we."""
    from esptool import cmds

    esp = cmds.detect_chip(url, connect_mode="no-reset")
    try:
        esp = cmds.run_stub(esp)
        return all(
            esp.flash_md5sum(offset, len(content)) == hashlib.md5(content).hexdigest()
            for offset, content in parts
        )
    finally:
        esp._port.close()


@pytest.mark.parametrize("name", ["esp32", "esp32c3", "esp8266"])
def test_a_chip_gets_all_parts(chips, name, capsys):
    url = chips(name).url()
    told = Log()

    restarted = flash_esp.flash(url, name, PARTS, advance=told)

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    # A line through a network has no wire that resets.
    assert restarted is False
    assert told[-3:] == [("writing", SIZE, SIZE), ("verifying", 1, 2), ("verifying", 2, 2)]
    assert [news[1] for news in told[:-2]] == sorted(news[1] for news in told[:-2])
    assert holds(url, PARTS)


def test_a_second_time_nothing_is_written(esp32, written):
    flash_esp.flash(esp32, "esp32", PARTS)
    first = sorted(set(written))
    written.clear()
    flash_esp.flash(esp32, "esp32", PARTS)

    # Erased flash is what the last pieces want to be.
    assert first == [0xC000, 0x10000, 0x200000]
    assert written == []


def test_only_pieces_that_differ_are_written(esp32, written):
    flash_esp.flash(esp32, "esp32", PARTS)
    written.clear()
    offset, content = PARTS[0]
    newer = [(offset, content[:20_000] + b"new" + content[20_003:]), PARTS[1]]

    flash_esp.flash(esp32, "esp32", newer)

    assert set(written) == {0x10000}
    assert holds(esp32, newer) and not holds(esp32, PARTS)


def test_pieces_join_to_the_parts_and_end_at_blocks():
    found = list(flash_esp.pieces(PARTS))

    for offset, content in PARTS:
        own = [(at, piece) for at, piece in found if offset <= at < offset + len(content)]
        assert b"".join(piece for _, piece in own) == content
        assert all((at + len(piece)) % 0x10000 == 0 for at, piece in own[:-1])


def test_the_wrong_chip_is_named_and_not_written(chips, written):
    url = chips("esp32s3").url()

    with pytest.raises(FlashError) as caught:
        flash_esp.flash(url, "esp32", PARTS)

    assert caught.value.kind == "wrong-chip"
    assert str(caught.value) == f"the board at {url} has the chip ESP32-S3, the image is for esp32"
    assert written == []


def test_too_little_flash_is_told_before_anything_is_written(esp32, written):
    with pytest.raises(FlashError) as caught:
        flash_esp.flash(esp32, "esp32", [(0x200000, b"x" * 0x200001)])

    assert caught.value.kind == "too-small"
    assert str(caught.value).endswith("has 4MB of flash, the image needs 4.0 MB")
    assert written == []


def test_whoever_is_no_boot_loader_is_asked_to_be_one(monkeypatch):
    monkeypatch.setattr(flash_esp, "_CONNECT_ATTEMPTS", 1)
    # A program that reads and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(FlashError) as caught:
            flash_esp.flash(url, "esp32", PARTS)

    assert caught.value.kind == "no-answer"
    assert str(caught.value).startswith(f"no chip of Espressif's answers at {url}: ")
    assert caught.value.hint.startswith("hold the button BOOT")


def test_a_port_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(FlashError, match="there is no port") as caught:
        flash_esp.flash(str(tmp_path / "ttyUSB7"), "esp32", PARTS)

    assert caught.value.kind == "no-port"


@pytest.mark.parametrize("share", [0.04, 0.08, 0.5])
def test_a_cable_pulled_while_writing_is_told_and_the_rest_written_later(esp32, share, written):
    relay = Relay(esp32)
    reached = []

    def pull(what, done, total):
        reached.append(done)
        if done > share * total:
            relay.cut(refuse=True)

    try:
        with pytest.raises(LineLost) as caught:
            flash_esp.flash(relay.url, "esp32", PARTS, advance=pull)
    finally:
        relay.close()
    done = set(written)
    written.clear()
    flash_esp.flash(esp32, "esp32", PARTS)

    assert str(caught.value).startswith(f"the board at {relay.url} is gone")
    assert not done & set(written)
    assert holds(esp32, PARTS)


def test_flash_that_does_not_hold_what_was_written_is_told(esp32, monkeypatch):
    from esptool.loader import ESPLoader

    block = ESPLoader.flash_defl_block
    plain = ESPLoader.flash_block

    def worn(self, data, *more, **named):
        return plain(self, data[:-1] + bytes([data[-1] ^ 1]), *more, **named)

    monkeypatch.setattr(ESPLoader, "flash_block", worn)
    monkeypatch.setattr(ESPLoader, "flash_defl_block", block)
    with pytest.raises(NoSense) as caught:
        flash_esp.flash(esp32, "esp32", [(0x1000, os.urandom(0x4000))])

    assert caught.value.kind == "verify"
    assert str(caught.value).startswith("the flash does not hold what was written")


def test_flash_that_is_smaller_than_it_says_is_found_in_the_end(esp32, monkeypatch):
    """Written piece by piece everything is right; then the last piece has wrapped to the first."""
    from esptool.loader import ESPLoader

    hashed = ESPLoader.flash_md5sum
    counted = []

    def wraps(self, offset, size):
        counted.append(offset)
        # Compared, written and hashed again: the third time is the final look.
        return "0" * 32 if counted.count(0x1000) == 3 else hashed(self, offset, size)

    monkeypatch.setattr(ESPLoader, "flash_md5sum", wraps)
    with pytest.raises(NoSense) as caught:
        flash_esp.flash(esp32, "esp32", [(0x1000, b"first" * 100), (0x2000, b"last" * 100)])

    assert str(caught.value) == "the flash does not hold what was written: 500 bytes at 0x1000"
    assert "too small" in caught.value.hint


def test_ctrl_c_gives_the_port_back(esp32):
    def press(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flash_esp.flash(esp32, "esp32", PARTS, advance=press)
    flash_esp.flash(esp32, "esp32", PARTS)

    assert holds(esp32, PARTS)
