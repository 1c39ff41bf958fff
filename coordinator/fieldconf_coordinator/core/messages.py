"""The shapes of the messages that a coordinator reads, checked once, here.

Each function takes the bytes of a payload and returns the decoded value, or raises ValueError.
What is unknown (keys, further items) passes.
"""

from typing import Any

from fieldconf_microagent import codec

_MOST_TEXT = 4096
_LONGEST_STEP = 32
_MOST_OUTPUT = 16 << 10
# Of versions, enrolments, boots: no node counts that far, and databases hold it.
_HIGHEST = 1 << 48

# What a map must have.
_HAVE = {"e": int, "b": int, "s": int, "v": int, "app": str, "n": dict}


def have(payload: bytes) -> dict[str, Any]:
    """Read a have."""
    value = codec.unpack(payload)
    if type(value) is not dict:
        raise ValueError("no map")
    for key, kind in _HAVE.items():
        if not _is(value.get(key), kind):
            raise ValueError(f"wrong '{key}'")
    instances = value.get("i")
    if instances is None:
        instances = value["i"] = {}
    if type(instances) is not dict:
        raise ValueError("wrong 'i'")
    for told in instances.values():
        if type(told) is not dict or type(told.get("s")) is not str or len(told["s"]) > 32:
            raise ValueError("wrong instance")
    return value


def about(info: dict[str, Any]) -> tuple[tuple[Any, ...], int | None, str | None]:
    """Return what a node is, its memory and its address.

    What it is: (agent, platform, installers, simulates, reset, bytes of its largest want).
    """
    agent, platform = str(info.get("agent", "")), str(info.get("py", ""))
    reset = info.get("reset")
    reset = reset[:32] if type(reset) is str else None
    memory, address, most = info.get("mem"), info.get("ip"), info.get("max")
    most = most if type(most) is int and most > 0 else None
    simulates = info.get("sim") is True
    return (
        (agent[:32], platform[:128], names(info.get("inst")), simulates, reset, most),
        memory if type(memory) is int else None,
        address[:64] if type(address) is str else None,
    )


def problem(told: Any) -> tuple[str, str, bool] | None:
    """Return the problem in an instance's entry, or None."""
    if type(told) is not list or len(told) < 2:
        return None
    resting = len(told) > 2 and told[2] is True
    return str(told[0])[:32], str(told[1])[:_MOST_TEXT], resting


def names(told: Any) -> tuple[str, ...]:
    """Return the names of a list, without what is no name."""
    if type(told) is not list:
        return ()
    return tuple(name for name in told[:1000] if type(name) is str)


def digest(told: Any) -> bytes | None:
    """Return a digest, or None."""
    return told if type(told) is bytes and len(told) == 32 else None


def live(payload: bytes) -> tuple[int, int, bool]:
    """Read ``[enrolment, boot, online]``."""
    value = _items(payload, (int, int, bool))
    return value[0], value[1], value[2]


def pulse(payload: bytes) -> tuple[int, int, int, int]:
    """Read ``[enrolment, boot, seq, version]``."""
    value = _items(payload, (int, int, int, int))
    return value[0], value[1], value[2], value[3]


def did(payload: bytes) -> list[Any]:
    """Read ``[id, boot, status, result]``."""
    value = _items(payload, (str, int, str))
    return value if len(value) > 3 else [*value, None]


def get(payload: bytes) -> list[Any]:
    """Read ``[digest, first, bitmap, most]``."""
    return _items(payload, (bytes, int, bytes, int))[:4]


def log(payload: bytes) -> list[Any]:
    """Read ``[path, step, bytes]``."""
    value = _items(payload, (str, str, bytes))[:3]
    if len(value[1]) > _LONGEST_STEP or len(value[2]) > _MOST_OUTPUT:
        raise ValueError("too long")
    return value


def _items(payload: bytes, kinds: tuple[type, ...]) -> list[Any]:
    value = codec.unpack(payload)
    if type(value) is not list or len(value) < len(kinds):
        raise ValueError("too short")
    for item, kind in zip(value, kinds, strict=False):
        if not _is(item, kind):
            raise ValueError("wrong item")
    return value


def _is(value: Any, kind: type) -> bool:
    if type(value) is not kind:
        return False
    return not isinstance(value, int) or 0 <= value <= _HIGHEST
