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
    _put(out, value, MAX_DEPTH)
    return bytes(out)


def unpack_plain(
    data: "bytes | bytearray | memoryview",
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_items: int = MAX_ITEMS,
) -> "Any":
    """Return the one value that `data` encodes.

    Args:
        data: the encoded value and nothing else.
        max_bytes: how long `data` may be.
        max_depth: how many lists and maps may lie in one another.
        max_items: how many list items and map entries there may be in all.

    Raises:
        CodecError: the data is broken, or exceeds one of the bounds.
    """
    if len(data) > max_bytes:
        raise CodecError("more than %d bytes" % max_bytes)
    reader = _Reader(data, max_items)
    value = reader.value(max_depth)
    if reader.at != len(data):
        raise CodecError("bytes after the end")
    return value


def _number(out: bytearray, code: int, width: int, number: int, bits: int = 0) -> None:
    """Append `code` and `number` in as few bytes as hold it; codes of wider forms follow `code`."""
    while (~number if number < 0 else number) >> (8 * width - bits):
        width *= 2
        code += 1
    if width > 8:
        raise CodecError("an integer of more than 64 bits")
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
        try:
            text = value.encode()
        except ValueError:
            raise CodecError("a text that is not Unicode")
        _length(out, 0xA0, 31, 0xD9, 1, len(text))
        out.extend(text)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _number(out, 0xC4, 1, len(value))
        out.extend(value)
    elif isinstance(value, float):
        out.extend(struct.pack(">Bd", 0xCB, value))
    else:
        _put_many(out, value, depth - 1)


def _put_many(out: bytearray, value: "Any", depth: int) -> None:
    if depth < 0:
        raise CodecError("nested too deep")
    if isinstance(value, (list, tuple)):
        _length(out, 0x90, 15, 0xDC, 2, len(value))
        for item in value:
            _put(out, item, depth)
    elif isinstance(value, dict):
        _length(out, 0x80, 15, 0xDE, 2, len(value))
        for key in sorted_keys(value):
            _put(out, key, depth)
            _put(out, value[key], depth)
    else:
        raise CodecError("cannot carry a " + type(value).__name__)


def sorted_keys(value: "dict[Any, Any]") -> "list[Any]":
    """Return the keys in the order in which they are packed."""
    kinds = {type(key) for key in value}
    if kinds and kinds != {str} and kinds != {int}:
        raise CodecError("the keys of a map must be all text or all integers")
    return sorted(value)


class _Reader:
    def __init__(self, data: "bytes | bytearray | memoryview", items: int) -> None:
        self.data = memoryview(data)
        self.at = 0
        self.items = items

    def take(self, count: int) -> memoryview:
        start = self.at
        if count > len(self.data) - start:
            raise CodecError("ends early")
        self.at = start + count
        return self.data[start : self.at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def value(self, depth: int) -> "Any":
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 256
        if code < 0xA0:
            return self.many(code & 15, code < 0x90, depth)
        if code < 0xC0:
            return self.text(code & 31)
        if code >= 0xDC:
            return self.many(self.number(2 << (code & 1)), code >= 0xDE, depth)
        if code >= 0xD9:
            return self.text(self.number(1 << (code - 0xD9)))
        if 0xCC <= code < 0xD4:
            return self.integer(1 << (code & 3), code >= 0xD0)
        if 0xC4 <= code < 0xC7:
            return bytes(self.take(self.number(1 << (code & 3))))
        if code == 0xCA:
            return struct.unpack(">f", self.take(4))[0]
        if code == 0xCB:
            return struct.unpack(">d", self.take(8))[0]
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        raise CodecError("code 0x%x" % code)

    def integer(self, width: int, signed: bool) -> int:
        number = self.number(width)
        if signed and number >> (8 * width - 1):
            number -= 1 << 8 * width
        return number

    def text(self, length: int) -> str:
        try:
            return str(self.take(length), "utf-8")
        except UnicodeError:
            raise CodecError("a text that is not UTF-8")

    def many(self, count: int, is_map: bool, depth: int) -> "Any":
        self.items -= count
        # Every item takes at least a byte: a huge count is refused before anything is allocated.
        if depth <= 0 or self.items < 0 or count > len(self.data) - self.at:
            raise CodecError("too many items, or nested too deep")
        if not is_map:
            return [self.value(depth - 1) for _ in range(count)]
        result = {}
        for _ in range(count):
            key = self.value(depth - 1)
            if type(key) not in (str, int) or key in result:
                raise CodecError("a key that is doubled, or neither text nor integer")
            result[key] = self.value(depth - 1)
        return result


_CONSTANTS: "dict[int, Any]" = {0xC0: None, 0xC2: False, 0xC3: True}

try:
    from .codec_fast import pack as pack
    from .codec_fast import unpack as unpack
except ImportError:
    pack = pack_plain
    unpack = unpack_plain
