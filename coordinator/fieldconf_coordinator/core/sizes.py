"""How large a want will be, before it is made: an estimate that is never too small."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fieldconf_microagent import codec

from .model import Instance, Kind

# Bytes, items.
_Size = tuple[int, int]

#: What an agent takes at most; some is left for the envelope of a want and its other fields.
LARGEST_WANT = codec.MAX_BYTES - 8192
MOST_ITEMS = codec.MAX_ITEMS - 1000

# (bytes, items) of an entry besides its texts, of a value besides its name and text, of a provider
# besides its prefix: rather too many than too few.
_ENTRY, _VALUE, _PROVIDER = (96, 16), (6, 1), (32, 4)


class Future(NamedTuple):
    """An instance as it will be."""

    instance: Instance
    kind: Kind
    values: Mapping[str, str | None]
    magic: Mapping[str, str | None]


def largest(told: int | None) -> int:
    """Return the size of the largest estimate that a node takes which says what it takes."""
    return LARGEST_WANT if told is None else min(LARGEST_WANT, told - told // 16)


def of_wants(future: Iterable[Future]) -> dict[Instance, _Size]:
    """Return about how large the want of each scoped instance will be: (bytes, items)."""
    sizes: dict[Instance, _Size] = {}
    imported: dict[Instance, set[str]] = {}
    exporters: dict[str, set[Instance]] = {}
    shared: dict[int, _Size] = {}
    for one in future:
        root = one.instance.scope
        sizes[root] = _sum(sizes.get(root, (0, 0)), _entry_size(one, shared))
        imported.setdefault(root, set()).update(one.kind.imports)
        for prefix in one.kind.exported:
            exporters.setdefault(prefix, set()).add(root)
    for root, (size, items) in sizes.items():
        for prefix in imported[root]:
            count = len(exporters.get(prefix, ()))
            size += count * (_PROVIDER[0] + len(prefix))
            items += count * _PROVIDER[1]
        sizes[root] = size, items
    return sizes


def _sum(one: _Size, other: _Size) -> _Size:
    return one[0] + other[0], one[1] + other[1]


def _entry_size(one: Future, shared: dict[int, _Size]) -> _Size:
    """Return about how large an entry of a want is; `shared` remembers what many have in common."""
    size, items = _ENTRY
    size += len(one.instance.path.encode())
    # The dictionaries outlive this check, so their ids are theirs alone.
    for values in (one.values, one.magic, one.kind.imports, one.kind.aliases):
        if id(values) not in shared:
            shared[id(values)] = _map_size(values)
        size += shared[id(values)][0]
        items += shared[id(values)][1]
    for name in one.kind.ports:
        size += _VALUE[0] + len(name) + 5
        items += _VALUE[1]
    return size, items


def _map_size(values: Mapping[str, Any]) -> _Size:
    size = items = 0
    for name, value in values.items():
        more = _value_size(value)
        size += _VALUE[0] + len(name.encode()) + more[0]
        items += _VALUE[1] + more[1]
    return size, items


def _value_size(value: Any) -> _Size:
    if value is None:
        return 1, 0
    if isinstance(value, str):
        return len(value.encode()), 0
    # What is imported under a prefix: mandatory or not, and the names.
    return len(codec.pack(value)), 2 + len(value[1])
