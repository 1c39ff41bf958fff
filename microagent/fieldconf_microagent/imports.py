"""What other nodes export: their values as far as known, and whether they are still there.

A *key* is a provider: ``(application, published prefix, node)``. Rules kept here:

* Only what the want names as a provider counts; a provider that leaves the list is gone at once.
* A document counts when its triple ``(enrolment, boot, seq)`` is newer than the last one.
* Silence is not withdrawal. Values go away by an empty document, by a newer boot that does not
  repeat them, or after `lost_after` ms during which the node was offline or did not answer.
* That time runs only while this node is connected, and from zero after a reconnection.
* A provider that was not heard in this connection is asked: after 2 s plus up to 8 s, then at
  pauses that double to 5 min.

Exports of this node itself are not here: the agent reads them where they are made.
No I/O; `now` is monotonic, in ms.
"""

from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    # (application, published prefix, node)
    Key = tuple[str, str, str]

_ASK_MS = const(2000)
_ASK_SPREAD_MS = const(8000)
_ASK_LONGEST_MS = const(300000)


class Imports:
    """Values of the providers of one node.

    Attributes:
        providers: imported prefix → keys, as the want says.
        lost_after: ms.
        changed: set when values that somebody may import have changed; the agent clears it.
        renewed: set when a provider came back under a new boot; the agent clears it.
    """

    def __init__(self, node: str, random_below: "Callable[[int], int]") -> None:
        self.node = node
        self.random_below = random_below
        self.providers: "dict[str, list[Key]]" = {}
        self.lost_after = 60000
        self.changed = False
        self.renewed = False
        self.up = False
        # key → [(enrolment, boot, seq), {path: {local name: value}}]; None instead of the
        # dictionary: lost, and only a newer document or a node that is online brings them back.
        self.values: "dict[Key, list[Any]]" = {}
        self.live: "dict[str, tuple[int, int, bool]]" = {}
        self.gone: "dict[str, int]" = {}  # node → since when it is offline or silent
        self.asks: "dict[Key, list[int]]" = {}  # key not heard yet → [next at, pause]

    def keys(self) -> "set[Key]":
        """Return the providers on other nodes."""
        return {key for keys in self.providers.values() for key in keys if key[2] != self.node}

    def set_providers(self, now: int, providers: "dict[str, list[Key]]") -> None:
        """Take over the providers of a new want; those that left are withdrawn at once."""
        before = self.keys()
        if providers != self.providers:
            self.changed = True
        self.providers = providers
        keys = self.keys()
        nodes = {key[2] for key in keys}
        for key in before - keys:
            self.values.pop(key, None)
            self.asks.pop(key, None)
        for node in [n for n in self.live if n not in nodes]:
            del self.live[node]
            self.gone.pop(node, None)
        if self.up:
            for key in sorted(keys - before):
                self._ask_later(now, key)

    def on_link(self, now: int, up: bool) -> None:
        """Start anew with every connection: nobody was heard, every timer is at zero."""
        self.up = up
        self.gone.clear()
        self.asks.clear()
        if up:
            for node, live in self.live.items():
                if not live[2]:
                    self.gone[node] = now
            for key in sorted(self.keys()):
                self._ask_later(now, key)

    def on_exports(self, now: int, key: "Key", document: "list[Any]") -> None:
        """Take in an exports document, which the caller has checked for its shape."""
        triple = (document[1], document[2], document[3])
        live = self.live.get(key[2])
        if key not in self.keys() or (live and triple[:2] < live[:2]):
            return
        known = self.values.get(key)
        if known and triple < known[0]:
            return
        self.asks.pop(key, None)
        if live is None or triple[:2] > live[:2]:
            live = self.live[key[2]] = (triple[0], triple[1], True)
        if live[2]:
            self.gone.pop(key[2], None)
        elif self.up:
            self.gone.setdefault(key[2], now)
        if known and triple == known[0] and (known[1] is not None or not live[2]):
            return
        items = {path: values for path, values in document[4]}
        if known and triple[:2] > known[0][:2]:
            self.renewed = self.changed = True
        if not known or known[1] != items:
            self.changed = True
        self.values[key] = [triple, items]

    def on_live(self, now: int, node: str, live: "tuple[int, int, bool]") -> None:
        """Take in whether a provider's node is online, under which boot."""
        known = self.live.get(node)
        if known and live[:2] < known[:2]:
            return
        self.live[node] = live
        if not live[2]:
            if self.up and node not in self.gone:
                self.gone[node] = now
        else:
            self.gone.pop(node, None)
        for key, value in self.values.items():
            if key[2] != node:
                continue
            if value[0][:2] < live[:2]:
                self._lose(value)
            if live[2] and value[1] is None and self.up:
                # It may have nothing new to say, so that only an ask makes it repeat itself.
                self.asks[key] = [now + self.random_below(1000), _ASK_MS]

    def tick(self, now: int) -> "list[Key]":
        """Drop what was away for too long, and return the providers to ask now."""
        if not self.up:
            return []
        for node in [n for n, since in self.gone.items() if now - since >= self.lost_after]:
            for key, value in self.values.items():
                if key[2] == node:
                    self._lose(value)
            del self.gone[node]
        due = [key for key, ask in self.asks.items() if ask[0] <= now]
        for key in due:
            self._asked(now, key)
        return due

    def next_wake(self) -> "int | None":
        """Return when `tick` has something to do, or None."""
        times = [ask[0] for ask in self.asks.values()]
        times.extend([since + self.lost_after for since in self.gone.values()])
        return min(times) if self.up and times else None

    def of(self, prefix: str) -> "list[tuple[Key, dict[str, dict[str, str]]]]":
        """Return the providers on other nodes of `prefix` that have values, with them."""
        found = []
        for key in self.providers.get(prefix, ()):
            value = self.values.get(key)
            if value and value[1]:
                found.append((key, value[1]))
        return found

    def dump(self) -> "list[Any]":
        """Return what has to survive a restart."""
        return [
            [[list(key), list(value[0]), value[1]] for key, value in sorted(self.values.items())],
            [[node, list(live)] for node, live in sorted(self.live.items())],
        ]

    def _ask_later(self, now: int, key: "Key") -> None:
        self.asks[key] = [now + _ASK_MS + self.random_below(_ASK_SPREAD_MS), _ASK_MS]

    def _asked(self, now: int, key: "Key") -> None:
        ask = self.asks[key]
        if ask[1] > _ASK_MS and key in self.values:
            # The ask before this one had no answer.
            self.gone.setdefault(key[2], now)
        ask[1] = min(ask[1] * 2, _ASK_LONGEST_MS)
        ask[0] = now + ask[1]

    def _lose(self, value: "list[Any]") -> None:
        if value[1]:
            self.changed = True
        value[1] = None
