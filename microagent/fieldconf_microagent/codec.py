"""msgpack with bounds: the format of every message and of the state on disk.

Carries None, bool, integers of 64 bits, floats, str, bytes, lists, and maps whose keys are all str
or all int. Rules:

* One value has one encoding: shortest forms, keys in order, floats in 64 bits. Both Pythons give
  the same bytes, so that a digest of them means something.
* Whatever a stranger sends, `unpack` gives a value or raises `CodecError`, and allocates no more
  than the length of the data permits. Extension types and doubled keys are refused.

`pack` and `unpack` use the C library on CPython; `pack_plain` and `unpack_plain` never do.
"""

import struct

from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_ITEMS = 100000


class CodecError(ValueError):
    """The data is not what this codec writes, or the value is not what it carries."""


def pack_plain(value: "Any") -> bytes:
    """Return the one encoding of `value`.

    Raises:
        CodecError: it holds another type, too large an integer, or is nested too deep.
    """
    out = bytearray()
    try:
        _put(out, value, MAX_DEPTH)
    except (TypeError, UnicodeError):
        raise CodecError("cannot carry this")
    return bytes(out)


def unpack_plain(
    data: "bytes | bytearray | memoryview",
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
    views: bool = False,
) -> "Any":
    """Return the one value that `data` encodes.

    Args:
        data: the encoded value and nothing else.
        max_bytes: how long `data` may be.
        max_depth: how many lists and maps may lie in one another.
        max_items: how many list items and map entries there may be in all.
        views: bytes may come as memoryviews of `data`, which saves the memory for a copy.

    Raises:
        CodecError: the data is broken, or exceeds one of the bounds.
    """
    if len(data) > max_bytes:
        raise CodecError("too long")
    reader = _Reader(data, max_items, views)
    try:
        value = reader.value(max_depth)
    except UnicodeError:
        raise CodecError("malformed")
    if reader.at != len(data):
        raise CodecError("malformed")
    return value


def _number(out: bytearray, code: int, width: int, number: int, bits: int = 0) -> None:
    """Append `code` and `number` in as few bytes as hold it; codes of wider forms follow `code`."""
    while (~number if number < 0 else number) >> (8 * width - bits):
        width *= 2
        code += 1
    if width > 8:
        raise CodecError("too long")
    out.append(code)
    out.extend((number & ((1 << 8 * width) - 1)).to_bytes(width, "big"))


def _length(out: bytearray, fixed: int, most: int, code: int, width: int, length: int) -> None:
    if length <= most:
        out.append(fixed | length)
    else:
        _number(out, code, width, length)


def _put(out: bytearray, value: "Any", depth: int) -> None:
    if value is None or isinstance(value, bool):
        out.append(0xC0 if value is None else 0xC3 if value else 0xC2)
    elif isinstance(value, int):
        if -32 <= value < 128:
            out.append(value & 0xFF)
        elif value < 0:
            _number(out, 0xD0, 1, value, 1)
        else:
            _number(out, 0xCC, 1, value)
    elif isinstance(value, str):
        value = value.encode()
        _length(out, 0xA0, 31, 0xD9, 1, len(value))
        out.extend(value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _number(out, 0xC4, 1, len(value))
        out.extend(value)
    elif isinstance(value, float):
        out.extend(struct.pack(">Bd", 0xCB, value))
    elif depth <= 0:
        raise CodecError("too deep")
    elif isinstance(value, (list, tuple)):
        _length(out, 0x90, 15, 0xDC, 2, len(value))
        for item in value:
            _put(out, item, depth - 1)
    elif isinstance(value, dict):
        _length(out, 0x80, 15, 0xDE, 2, len(value))
        for key in sorted(value):
            if type(key) not in (str, int):
                raise TypeError
            _put(out, key, depth)
            _put(out, value[key], depth - 1)
    else:
        raise TypeError


# The forms 0xC0 to 0xDF: a kind, and the width of the number that follows.
_MAP = const(0x10)
_LIST = const(0x20)
_TEXT = const(0x30)
_BYTES = const(0x40)
_FLOAT = const(0x50)
_SIGNED = const(0x60)
_UNSIGNED = const(0x70)
_CONSTANT = const(0x80)
_FORMS = (
    b"\x80\0\x80\x80\x41\x42\x44\0\0\0\x54\x58\x71\x72\x74\x78"
    b"\x61\x62\x64\x68\0\0\0\0\0\x31\x32\x34\x22\x24\x12\x14"
)


class _Reader:
    def __init__(self, data: "bytes | bytearray | memoryview", items: int, views: bool) -> None:
        self.data = memoryview(data)
        self.at = 0
        self.items = items
        self.views = views

    def take(self, count: int) -> memoryview:
        start = self.at
        if count > len(self.data) - start:
            raise CodecError("ends early")
        self.at = start + count
        return self.data[start : self.at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def value(self, depth: int) -> "Any":
        code = self.number(1)
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 256
        width = 0
        if code >= 0xC0:
            kind = _FORMS[code & 31]
            width = kind & 15
            kind &= 0xF0
            number = self.number(width)
        elif code >= 0xA0:
            kind = _TEXT
            number = code & 31
        else:
            kind = _MAP if code < 0x90 else _LIST
            number = code & 15
        if kind == _SIGNED and number >> (8 * width - 1):
            return number - (1 << 8 * width)
        if kind == _UNSIGNED or kind == _SIGNED:
            return number
        if kind == _TEXT:
            return str(self.take(number), "utf-8")
        if kind == _BYTES:
            return self.take(number) if self.views else bytes(self.take(number))
        if kind == _FLOAT:
            return struct.unpack(">f" if width == 4 else ">d", number.to_bytes(width, "big"))[0]
        if kind == _CONSTANT:
            return (None, None, False, True)[code & 3]
        if not kind:
            raise CodecError("malformed")
        return self.many(number, kind == _MAP, depth - 1)

    def many(self, count: int, is_map: bool, depth: int) -> "Any":
        self.items -= count
        # Every item takes at least a byte: a huge count is refused before anything is allocated.
        if depth < 0 or self.items < 0 or count > len(self.data) - self.at:
            raise CodecError("too deep")
        result: "Any" = {} if is_map else []
        for _ in range(count):
            value = self.value(depth)
            if not is_map:
                result.append(value)
            elif type(value) not in (str, int) or value in result:
                raise CodecError("malformed")
            else:
                result[value] = self.value(depth)
        return result


try:
    from . import codec_fast

    pack, unpack = codec_fast.pack, codec_fast.unpack
except ImportError:
    pack, unpack = pack_plain, unpack_plain
