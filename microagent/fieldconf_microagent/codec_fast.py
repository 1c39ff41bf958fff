"""`codec` on top of the C library msgpack: same bytes, same bounds, same errors. CPython only."""

from typing import Any

import msgpack  # type: ignore[import-untyped]

from . import codec

_SCALARS = frozenset((type(None), bool, int, float, str, bytes))


def pack(value: Any) -> bytes:
    """Return the one encoding of `value`; see `codec.pack_plain`."""
    try:
        packed: bytes = msgpack.packb(_canonical(value, codec.MAX_DEPTH))
    except codec.CodecError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise codec.CodecError(f"cannot carry this: {error}")
    return packed


def unpack(
    data: bytes | bytearray | memoryview,
    max_bytes: int = codec.MAX_BYTES,
    max_depth: int = codec.MAX_DEPTH,
    max_items: int = codec.MAX_ITEMS,
    views: bool = False,
) -> Any:
    """Return the one value that `data` encodes; see `codec.unpack_plain`. It makes no views."""
    if len(data) > max_bytes:
        raise codec.CodecError(f"more than {max_bytes} bytes")
    most = min(max_items, len(data))
    try:
        value = msgpack.unpackb(
            data,
            strict_map_key=False,
            object_pairs_hook=_map,
            ext_hook=_refuse,
            max_array_len=most,
            max_map_len=most,
            # A time stamp is an extension that never reaches the hook.
            max_ext_len=0,
        )
    except codec.CodecError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise codec.CodecError(str(error) or type(error).__name__)
    if _items(value, max_depth) > max_items:
        raise codec.CodecError("too many items")
    return value


def _canonical(value: Any, depth: int) -> Any:
    """Return `value` with the keys of its maps in order, after a check of types and depth."""
    if isinstance(value, (bool, int, float, str, bytes, bytearray, memoryview)) or value is None:
        return value
    if not depth:
        raise codec.CodecError("nested too deep")
    # Most items are scalars, and a call for each would cost more than packing them.
    if isinstance(value, dict):
        for key in value:
            _check_key(key)
        return {
            key: item if type(item := value[key]) in _SCALARS else _canonical(item, depth - 1)
            for key in sorted(value)
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _SCALARS else _canonical(item, depth - 1) for item in value]
    raise codec.CodecError(f"cannot carry a {type(value).__name__}")


def _check_key(key: Any) -> None:
    if type(key) is not str and type(key) is not int:
        raise codec.CodecError("a key that is neither text nor integer")


def _map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    for key, _ in pairs:
        _check_key(key)
    result = dict(pairs)
    if len(result) != len(pairs):
        raise codec.CodecError("a key that is doubled")
    return result


def _refuse(code: int, data: bytes) -> Any:
    raise codec.CodecError(f"extension type {code}")


def _items(value: Any, depth: int) -> int:
    """Return how many items there are in all; refuse what is nested too deep."""
    if type(value) is list:
        below = value
    elif type(value) is dict:
        below = list(value.values())
    else:
        return 0
    if not depth:
        raise codec.CodecError("nested too deep")
    count = len(below)
    for item in below:
        if type(item) is list or type(item) is dict:
            count += _items(item, depth - 1)
    return count
