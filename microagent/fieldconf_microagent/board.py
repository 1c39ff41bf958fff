"""What a board has and a desktop lacks: network interface, watchdog, causes of a reset.

Thin, since none of it can be tried without a board: the modules `machine` and `network` are given,
and tests give stand-ins, which say so. When to try which network is decided in `uplink`.
"""

from . import compat
from .uplink import JOIN, Uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Ports differ in how long a watchdog may sleep; the first that this one takes. A slow look-up of a
# name or a handshake should not reset a board.
_WATCHDOG_MS = (60000, 30000, 8000)
#: The loop comes round at least so often.
TURN_MS = 2000
_READ_S = 5

_RESETS = (
    ("PWRON_RESET", "power on"),
    ("HARD_RESET", "reset pin"),
    ("WDT_RESET", "watchdog"),
    ("DEEPSLEEP_RESET", "deep sleep"),
    ("SOFT_RESET", "soft reset"),
    ("BROWNOUT_RESET", "brownout"),
)


def reset_cause(machine: "Any") -> "str | None":
    """Return in words why the board started; None where it does not say."""
    if not hasattr(machine, "reset_cause"):
        return None
    cause = machine.reset_cause()
    for name, text in _RESETS:
        if getattr(machine, name, None) == cause:
            return text
    return "cause %d" % cause


class Watchdog:
    """Resets the board when `feed` is not called for a while; does nothing where there is none."""

    def __init__(self, machine: "Any") -> None:
        self._machine = machine
        self._wdt: "Any" = None
        self._timer: "Any" = None
        if hasattr(machine, "WDT"):
            for timeout in _WATCHDOG_MS:
                try:
                    self._wdt = machine.WDT(timeout=timeout)
                    break
                except ValueError:
                    pass

    def feed(self) -> None:
        """Say that all is well."""
        if self._wdt:
            self._wdt.feed()

    def release(self) -> None:
        """Feed it from a timer from now on: it cannot be stopped, and somebody wants the REPL."""
        if self._wdt and hasattr(self._machine, "Timer"):
            wdt = self._wdt
            self._timer = self._machine.Timer(-1)
            self._timer.init(period=TURN_MS, callback=lambda timer: wdt.feed())


class Wifi:
    """A station on the first of several networks that lets it in."""

    def __init__(self, network: "Any", networks: "list[list[str]]", node: str) -> None:
        self._networks = networks
        if hasattr(network, "hostname"):
            network.hostname(node)
        self.interface = network.WLAN(network.STA_IF)
        self.interface.active(True)
        # What the driver reports as over; ports have some of these.
        names = ("STAT_WRONG_PASSWORD", "STAT_NO_AP_FOUND", "STAT_CONNECT_FAIL")
        self._bad = [getattr(network, name) for name in names if hasattr(network, name)]

    def count(self) -> int:
        return len(self._networks)

    def join(self, index: int) -> None:
        name, password = self._networks[index]
        self.interface.connect(name, password)

    def leave(self) -> None:
        self.interface.disconnect()

    def has_failed(self) -> bool:
        return self.interface.status() in self._bad


class Lan:
    """An Ethernet port; `options` are those that the board's `network.LAN` wants."""

    def __init__(self, network: "Any", options: "dict[str, Any]", node: str) -> None:
        if hasattr(network, "hostname"):
            network.hostname(node)
        self.interface = network.LAN(**options)

    def count(self) -> int:
        return 1

    def join(self, index: int) -> None:
        self.interface.active(True)

    def leave(self) -> None:
        self.interface.active(False)

    def has_failed(self) -> bool:
        return False


class Network:
    """Keeps one interface up.

    Args:
        port: a `Wifi` or a `Lan`.
        log: called with level and text.
        random_below: n → a random integer from 0 to n - 1.
    """

    def __init__(
        self,
        port: "Any",
        now: int,
        log: "Callable[[str, str], object]",
        random_below: "Callable[[int], int]",
    ) -> None:
        self._port = port
        self._log = log
        self._uplink = Uplink(port.count(), now, random_below)

    def tend(self, now: int) -> bool:
        """Do what is due; tell whether the network is there."""
        port, uplink = self._port, self._uplink
        was = uplink.up
        try:
            todo = uplink.step(now, bool(port.interface.isconnected()), port.has_failed())
            if todo and todo[0] == JOIN:
                port.join(todo[1])
            elif todo:
                port.leave()
                self._log("warning", "no network, attempt %d" % uplink.failures)
        except OSError as error:
            # The driver is in a mood; the next attempt comes by itself.
            self._log("warning", "network: %r" % error)
        if uplink.up and not was:
            self._log("info", "network: %s" % self.address())
        return uplink.up

    def address(self) -> "str | None":
        """Return the board's address, None while it has none."""
        return self._port.interface.ifconfig()[0] if self._uplink.up else None


class Board:
    """All of it: fed and tended once per turn of the agent's loop.

    Attributes:
        reset: why the board started, in words, or None.

    Args:
        settings: ``wifi`` is a list of ``[name, password]``, ``lan`` what `network.LAN` is given;
            with neither, the network is there already, or the agent speaks over a serial line.
        clock: has `now_ms`.
        log: called with level and text.
    """

    def __init__(
        self, settings: "dict[str, Any]", clock: "Any", log: "Callable[[str, str], object]"
    ) -> None:
        import machine  # type: ignore

        self._machine = machine
        self._clock = clock
        self._watchdog = Watchdog(machine)
        self._network = _network(settings, clock, log)
        self.reset = reset_cause(machine)
        self._host: "Any" = None

    def attach(self, host: "Any", link: "Any") -> None:
        """Tell `host` whether there is a network, and `link` its address, from now on."""
        self._host = host
        if self._network:
            link.interface = self._network
            host.reachable = False

    def tend(self) -> int:
        """Do what is due; return how many ms the next turn may take."""
        self._watchdog.feed()
        if self._network:
            self._host.reachable = self._network.tend(self._clock.now_ms())
        return TURN_MS

    def release(self) -> None:
        """Leave the board to somebody else."""
        self._watchdog.release()

    def restart(self) -> None:
        """Start the board anew, after a moment to read what it said."""
        import time

        time.sleep(_READ_S)
        self._machine.reset()


def _network(
    settings: "dict[str, Any]", clock: "Any", log: "Callable[[str, str], object]"
) -> "Network | None":
    if settings.get("wifi"):
        import network  # type: ignore

        port: "Any" = Wifi(network, settings["wifi"], settings["node"])
    elif settings.get("lan") is not None:
        import network

        port = Lan(network, settings["lan"], settings["node"])
    else:
        return None
    return Network(port, clock.now_ms(), log, compat.random_below)
