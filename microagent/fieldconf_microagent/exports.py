"""What this node exports, under which topics, and who may be told again.

A document is built when it can be sent, from what is true then. Topics under which something was
published are remembered until their retained message has been cleared. No I/O.
"""

from . import codec, messages, topics
from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .tree import Tree

_ANSWER_MS = const(1000)  # a document is repeated at most that often when it is asked for


class Exports:
    """The exports of one node in one application.

    Attributes:
        app: application id.
        prefixes: what has to be published, because somebody imports it.
        items: prefix → [[path, values], …] of the instances that are started, by path.
        published: topic → [app, prefix], until it has been cleared.
    """

    def __init__(self, domain: str, node: str) -> None:
        self.d = domain
        self.node = node
        self.app = ""
        self.prefixes: "list[str]" = []
        self.items: "dict[str, list[Any]]" = {}
        self.published: "dict[str, list[str]]" = {}
        self.repeats: "set[str]" = set()
        self.answered: "dict[str, int]" = {}

    def adopt(self, app: str, prefixes: "list[str]") -> "list[str]":
        """Take over what a want says; return the topics that have to be published or cleared."""
        self.app, self.prefixes, self.items = app, sorted(prefixes), {}
        for prefix in self.prefixes:
            self.published[self._topic(prefix)] = [app, prefix]
        return [topic for topic in self.published if not self.is_current(topic)]

    def refresh(self, tree: "Tree", ip: "str | None") -> "list[str]":
        """Work out what is exported now; return the topics whose document has changed."""
        changed = []
        for prefix in self.prefixes:
            items = []
            for record in tree.order:
                if record.publishes():
                    alias = record.entry.get("a", {})
                    values = under(prefix, filled(record.entry, ip), alias)
                    if values:
                        items.append([record.path, values])
            items.sort()
            if items != self.items.get(prefix):
                self.items[prefix] = items
                changed.append(self._topic(prefix))
        return changed

    def is_current(self, topic: str) -> bool:
        """Tell whether a topic in `published` is to be published, not cleared."""
        app, prefix = self.published[topic]
        return app == self.app and prefix in self.prefixes

    def build(self, topic: str, triple: "list[int]") -> bytes:
        """Return the document for a topic; empty to clear it."""
        if not self.is_current(topic):
            return b""
        items = self.items.get(self.published[topic][1], [])
        return codec.pack([messages.FORMAT] + triple + [items])

    def asked(self, app: str, prefix: str) -> None:
        """Somebody has not heard a document."""
        topic = topics.exports(self.d, app, prefix, self.node)
        if topic in self.published:
            self.repeats.add(topic)

    def answers(self, now: int) -> "list[str]":
        """Return the topics to repeat now, for all who asked at once."""
        due = [topic for topic in self.repeats if now >= self.answered.get(topic, now)]
        for topic in due:
            self.repeats.discard(topic)
            self.answered[topic] = now + _ANSWER_MS
        return due

    def next_wake(self, now: int) -> "int | None":
        """Return when there is something to repeat, or None."""
        return min([self.answered.get(t, now) for t in self.repeats]) if self.repeats else None

    def _topic(self, prefix: str) -> str:
        return topics.exports(self.d, self.app, prefix, self.node)


def filled(entry: "dict[str, Any]", ip: "str | None") -> "dict[str, str]":
    """Return the exports of an entry; nil stands for the address, and is left out without one."""
    values = {}
    for name, value in entry.get("x", {}).items():
        if value is None:
            value = ip
        if value is not None:
            values[name] = value
    return values


def under(prefix: str, values: "dict[str, str]", alias: "dict[str, str]") -> "dict[str, str]":
    """Return the values whose full name starts with `prefix`, by local name."""
    head = prefix + "."
    found = {name[len(head) :]: values[name] for name in values if name.startswith(head)}
    for name, original in alias.items():
        if name.startswith(head) and original in values:
            found[name[len(head) :]] = values[original]
    return found


def local(entry: "dict[str, Any]", ip: "str | None") -> "dict[str, str]":
    """Return what a recipe sees of an instance: values by local name, the own type's win."""
    values = filled(entry, ip)
    found = {}
    for name in sorted(values):
        found[name.partition(".")[2]] = values[name]
    found.update(under(entry["c"], values, {}))
    found.update(entry.get("l", {}))
    return found
