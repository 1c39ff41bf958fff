"""What tests of images need: a node's settings, firmware that is good to look at, readers.

The firmware has all that real files have but a program that runs. The readers are written from the
formats' descriptions alone, so that they notice what ours get wrong.
"""

import hashlib
import struct
from functools import reduce

import pytest

KEY = "5e" * 32

#: As releases up to 1.25 had it, and since.
WITH_VFS = """
nvs,      data, nvs,     0x9000,   0x6000,
phy_init, data, phy,     0xf000,   0x1000,
factory,  app,  factory, 0x10000,  0x1F0000,
vfs,      data, fat,     0x200000, 0x200000,
"""
WITHOUT_VFS = """
nvs,      data, nvs,     0x9000,   0x6000,
phy_init, data, phy,     0xf000,   0x1000,
factory,  app,  factory, 0x10000,  0x210000,
"""
#: As MicroPython has it for firmware that is built with ROMFS.
WITH_ROMFS = """
nvs,      data, nvs,     0x9000,   0x6000,
phy_init, data, phy,     0xf000,   0x1000,
factory,  app,  factory, 0x10000,  0x1D0000,
romfs,    data, 0x8f,    0x1E0000, 0x20000,
"""
VERSION = b"v1.28.0 on 2026-04-06; ESP32 module\0"
#: Names of functions stand in firmware like this.
VERSION_WITH_ROMFS = VERSION + b"mount\0rom_ioctl\0"


def settings(broker="mqtt://127.0.0.1:1883", **others):
    return {"node": "n7", "fleet": "k3v9x2ab", "key": KEY, "broker": broker, **others}


def esp_program(chip_id, text=VERSION, entry=0x40080000):
    """Return a program with two segments and a hash, as the chip's ROM and boot loader check it."""
    segments = [(0x3F400020, text.ljust(4096, b"\1")), (0x40080000, b"\2" * 1000)]
    head = struct.pack("<BBBBI", 0xE9, len(segments), 2, 0x20, entry)
    head += struct.pack("<B3sHBHH4sB", 0xEE, b"", chip_id, 0, 0, 0xFFFF, b"", 1)
    body = b"".join(struct.pack("<II", at, len(data)) + data for at, data in segments)
    sums = reduce(lambda a, b: a ^ b, b"".join(data for _, data in segments), 0xEF)
    whole = head + body
    whole += b"\0" * (15 - len(whole) % 16) + bytes([sums])
    return whole + hashlib.sha256(whole).digest()


def esp_firmware(chip_id, start, table=WITHOUT_VFS, text=VERSION):
    """Return a file whose first byte goes to `start`: boot loader, partition table, program."""
    partitions = pytest.importorskip(
        "esp_idf_defs.partitions", reason="needs esp-idf-defs: pip install 'fieldconf[test]'"
    )
    flash = bytearray(b"\xff" * 0x10000)
    loader = esp_program(chip_id, b"boot loader")
    flash[start : start + len(loader)] = loader
    binary = partitions.PartitionTable.from_csv(table).to_binary()
    flash[0x8000 : 0x8000 + len(binary)] = binary
    return bytes(flash[start:]) + esp_program(chip_id, text)


def esp8266_firmware(text=VERSION_WITH_ROMFS):
    """Return one that was built for 1 MiB of flash: its header says so."""
    segments = [(0x40100000, b"\3" * 512), (0x3FFE8000, text.ljust(256, b"\0"))]
    head = struct.pack("<BBBBI", 0xE9, len(segments), 0, 0x20, 0x40100010)
    body = b"".join(struct.pack("<II", at, len(data)) + data for at, data in segments)
    return (head + body).ljust(0x9000, b"\xff") + b"\4" * 5000


def uf2_file(family, address, content):
    """Return a UF2 file the simple way."""
    total = len(content) // 256
    blocks = []
    for number in range(total):
        head = struct.pack(
            "<IIIIIIII", 0x0A324655, 0x9E5D5157, 0x2000, address + number * 256, 256,
            number, total, family,
        )  # fmt: skip
        data = content[number * 256 : number * 256 + 256]
        blocks.append(head + data + bytes(476 - 256) + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)


def uf2_flash(content, family, size):
    """Return what the flash holds after a boot loader of this family took a UF2 file.

    It fails where the boot loader would not know that the file is complete.
    """
    flash = bytearray(b"?" * size)
    seen = set()
    for at in range(0, len(content), 512):
        block = content[at : at + 512]
        fields = struct.unpack("<8I", block[:32])
        assert fields[:2] == (0x0A324655, 0x9E5D5157) and block[508:] == b"\x30\x6f\xb1\x0a"
        _, _, flags, address, length, number, total, own = fields
        if own != family:
            continue
        assert flags == 0x2000 and length == 256 and address % 256 == 0
        assert number not in seen and number < total
        seen.add(number)
        place = address - 0x10000000
        flash[place : place + length] = block[32 : 32 + length]
    assert len(seen) == total
    return bytes(flash)


def romfs_files(content):
    """Return the files in a ROMFS, {path: content}."""
    kind, at = _number(content, 0)
    length, at = _number(content, at)
    assert content[:3] == b"\xd2\xcd\x31" and kind == 0x14A6B1
    return dict(_records(content[at : at + length], ""))


def _records(content, folder):
    at = 0
    while at < len(content):
        kind, at = _number(content, at)
        length, at = _number(content, at)
        inside, at = content[at : at + length], at + length
        size, start = _number(inside, 0)
        name, rest = folder + inside[start : start + size].decode(), inside[start + size :]
        if kind == 4:
            yield from _records(rest, name + "/")
        else:
            assert kind == 5 and rest[0] == 2
            size, start = _number(rest, 1)
            assert start + size == len(rest)
            yield name, rest[start:]


def _number(content, at):
    value = 0
    while True:
        value = value << 7 | content[at] & 0x7F
        at += 1
        if not content[at - 1] & 0x80:
            return value, at
