"""Puts the agent of a board together; in memory only while it starts."""

from . import compat, compat_rare, settings
from .assembling import assemble
from .compat import const
from .host import Host
from .link_mqtt import MqttLink
from .messages import FORMAT
from .store import Store
from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .board import Board

INSTALLERS = ("logger", "python")

# Of a message of 16 KiB, the link's limit, a want leaves this much to its envelope.
_LARGEST_WANT = const(16000)
# A want is there as bytes, taken apart, and as what is saved of it, at the same time.
_SHARE = const(8)


def assembled(folder: str, log: "Callable[[str, str], object]") -> "tuple[Host, Board | None]":
    """Return the agent with all its parts, and what tends the board; None on a desktop.

    Raises:
        SettingsError: the settings are refused.
    """
    known = settings.read(folder + "/settings.json")
    clock = compat.Clock()
    board = None
    if _is_board() or known.get("wifi") or known.get("lan") is not None:
        from .board import Board

        board = Board(known, clock, log)
    link = _link(known, folder)
    info = _about(board, known.get("simulate") is True)
    host = _host(folder, known, link, clock, log, info)
    if board:
        board.attach(host, link)
    return host, board


def _is_board() -> bool:
    try:
        import machine  # type: ignore
    except ImportError:
        return False
    return hasattr(machine, "reset_cause")


def _link(known: "dict[str, Any]", folder: str) -> "Any":
    links = [_link_to(url, known, folder) for url in settings.brokers(known)]
    if len(links) == 1:
        return links[0]
    # Only now: most nodes have one broker.
    from .link_several import SeveralLinks

    return SeveralLinks(links)


def _link_to(url: str, known: "dict[str, Any]", folder: str) -> MqttLink:
    ca = known["ca"] and (known["ca"] if known["ca"][0] == "/" else folder + "/" + known["ca"])
    return MqttLink(
        url,
        known["node"],
        known["keepalive"],
        known["user"] or None,
        known["password"] or None,
        ca or None,
    )


def _host(
    folder: str,
    known: "dict[str, Any]",
    link: "Any",
    clock: compat.Clock,
    log: "Callable[[str, str], object]",
    info: "dict[str, Any]",
) -> Host:
    # Not at the top: that module imports this one, in its turn.
    from .main_board import Bed, Recipes, Steps

    store = Store(folder + "/state")
    agent = assemble(
        known,
        store,
        # Always new: whatever ran, ran in this process.
        compat.hex(compat.random_bytes(8)),
        clock.now_ms(),
        compat.random_below,
        installers=list(INSTALLERS),
        info=info,
        most=info["max"],
        parallel=1,
    )
    recipes = Recipes(folder)
    # Nothing of this module is handed on, or all of it would stay in memory.
    return Host(
        agent,
        link,
        Steps(folder + "/data", link.wake),
        recipes,
        store,
        clock.now_ms,
        log,
        recipes.wipe,
        compat.random_below,
        Bed(agent.settings, compat.random_below),
    )


def _about(board: "Board | None", simulates: bool) -> "dict[str, Any]":
    """Return what this node is, for the coordinator's inventory."""
    free = compat_rare.mem_free()
    info = {
        "py": compat_rare.platform_info(),
        "agent": VERSION,
        "mem": free,
        "max": min(_LARGEST_WANT, free // _SHARE),
        "inst": list(INSTALLERS),
        "fmt": [FORMAT],
        "hw": compat_rare.hardware_mark(),
    }
    if simulates:
        info["sim"] = True
    if board and board.reset:
        info["reset"] = board.reset
    return info
