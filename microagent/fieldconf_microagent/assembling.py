"""Makes the core as the disk knows it; a board loads this when it starts, and lets it go."""

from . import codec
from .agent import Agent
from .host import ADDRESS, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BOOT = "boot"


def assemble(
    settings: "dict[str, Any]",
    store: "Any",
    mark: str,
    now: int,
    random_below: "Callable[[int], int]",
    core: "type[Agent]" = Agent,
    **more: "Any",
) -> Agent:
    """Return the core as the store knows it, with its boot number raised on disk.

    Args:
        settings: as `settings.checked` returns them.
        store: where state and boot number are kept.
        mark: the run mark.
        now: in milliseconds.
        random_below: n → a random integer from 0 to n - 1.
        core: the class of the core.
        more: further settings of the core: ``installers``, ``info``, ``parallel``.
    """
    boot = int(store.load(BOOT) or b"0") + 1
    store.save(BOOT, b"%d" % boot)
    known = dict(settings)
    known.update(more)
    known["address"] = "given" if known["ip"] else "found"
    if not known["ip"]:
        known["ip"] = (store.load(ADDRESS) or b"").decode() or None
    known.setdefault("pulse", max(300, known["keepalive"]) * 1000)
    return core(known, _saved(store, mark), mark, boot, now, random_below)


def _saved(store: "Any", mark: str) -> "bytes | None":
    """Return the latest state, synced or not; the latter counts if the system runs on."""
    written: "bytes | None" = store.load_written(STATE)
    if written:
        try:
            if codec.unpack(written)["mark"] == mark:
                return written
        except (ValueError, TypeError, KeyError):
            pass
    saved: "bytes | None" = store.load(STATE)
    return saved
