"""What the coordinator knows: applications, their instances, nodes, and who exports what.

Plain data with the few questions that follow from it alone; what *happens* stands in the modules
beside. There may be tens of thousands of these objects in one process: they have slots, share
their dictionaries and strings, and keep no copies of documents.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fieldconf_dsl.model import Graph, Template
from fieldconf_microagent import states

#: State of an instance whose node was not heard since the coordinator started.
UNKNOWN = "unknown"

# Phases of a node, in the order of its life.
WAITING = "waiting"  # for the instance of another node in which it is nested
CREATING = "creating"
UP = "up"
EMPTYING = "emptying"  # has the empty want
FORGETTING = "forgetting"  # was asked to clear its topics and to wipe itself
DESTROYING = "destroying"
CLEARING = "clearing"  # the machine is gone, its topics are not

# Phases of an enrolled machine.
JOINING = "joining"  # has a token; somebody has to approve it
APPROVED = "approved"  # it was, and is making its key; only shown, the phase is `READY`
READY = "ready"
EXPELLED = "expelled"

#: Phases in which a node runs nothing any more.
WITHDRAWN = frozenset((FORGETTING, DESTROYING, CLEARING))

_NOTHING: tuple[Any, ...] = ()


class Kind:
    """What all instances of one component have in common.

    Attributes:
        imports: prefix → [mandatory, names], as in a want.
        imported: prefixes imported from the same application.
        outside: prefixes imported from bound applications.
        exported: prefixes under which it publishes, the application-wide one included.
        aliases: application-wide name → full name of the export published under it.
        ports: full names of its random ports.
        options: as in a want, or {}.
    """

    __slots__ = (
        "aliases",
        "component",
        "digest",
        "exported",
        "imported",
        "imports",
        "installer",
        "options",
        "outside",
        "ports",
    )

    def __init__(self, component: str, installer: str) -> None:
        self.component = component
        self.installer = installer
        self.imports: dict[str, list[Any]] = {}
        self.imported: frozenset[str] = frozenset()
        self.outside: frozenset[str] = frozenset()
        self.exported: frozenset[str] = frozenset()
        self.aliases: dict[str, str] = {}
        self.ports: tuple[str, ...] = ()
        self.options: dict[str, int] = {}
        self.digest: bytes | None = None

    @property
    def told(self) -> tuple[Any, ...]:
        """What a want says of it, apart from its recipe."""
        return self.installer, self.imports, self.aliases, self.options


class Instance:
    """One instance of an application.

    Attributes:
        overrides: exports set on the instance, random ports included; shared, never changed.
        data: its ``data.*``; shared, never changed.
        values: full name → value of what it publishes; None: the agent fills in its address.
            Without its random ports, so that it can be shared: `exports` has these too.
        magic: variables that only its own recipe sees.
        wish: its own, one of `states.WISHES`.
        added: made at run time, so that no new version of the template takes it away.
        leaving: not wanted any more; stays until the node confirms that it is gone.
        problem: None or (code, text, resting).
        scope: the scoped instance above it, or itself.
        members: of a scoped instance: all instances of its node, by path, itself first.
        nested: of a scoped instance: the scoped instances directly inside.
    """

    __slots__ = (
        "added",
        "data",
        "digest",
        "kind",
        "leaving",
        "magic",
        "members",
        "missing",
        "nested",
        "node",
        "overrides",
        "parent",
        "path",
        "problem",
        "scope",
        "state",
        "values",
        "wish",
    )

    def __init__(self, path: str, kind: Kind, parent: "Instance | None") -> None:
        self.path = path
        self.kind = kind
        self.parent = parent
        self.overrides: Mapping[str, str | None] = {}
        self.data: Mapping[str, str] = {}
        self.values: Mapping[str, str | None] = {}
        self.magic: Mapping[str, str | None] = {}
        self.wish = states.STARTED
        self.added = False
        self.leaving = False
        self.state = states.NOT_DEPLOYED
        self.problem: tuple[str, str, bool] | None = None
        self.missing: tuple[str, ...] = _NOTHING
        self.digest: bytes | None = None
        self.node: Node | None = None
        self.members: Any = _NOTHING
        self.nested: tuple[Instance, ...] = _NOTHING
        if parent is None or kind.installer == "target":
            self.scope = self
            self.members = []
        else:
            self.scope = parent.scope

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def exports(self) -> Mapping[str, str | None]:
        """Full name → value of what it publishes, random ports included."""
        ports = {n: self.overrides[n] for n in self.kind.ports if n in self.overrides}
        return {**self.values, **ports} if ports else self.values

    @property
    def is_scoped(self) -> bool:
        return self.scope is self

    def ancestors(self) -> "Iterator[Instance]":
        """Yield the parent, its parent, and so on."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def effective_wish(self) -> str:
        """Return the lowest wish along the path: what counts for the node as a whole."""
        lowest = states.NOT_DEPLOYED if self.leaving else self.wish
        for above in self.ancestors():
            own = states.NOT_DEPLOYED if above.leaving else above.wish
            if states.WISHES.index(own) < states.WISHES.index(lowest):
                lowest = own
        return lowest

    def is_settled(self) -> bool:
        """Tell whether it is where it is wished."""
        if self.leaving:
            return False
        if self.wish == states.STARTED:
            wish = self.effective_wish()
            if wish == states.STOPPED and self.state == states.WAITING:
                return True
        else:
            wish = self.effective_wish()
        if wish == states.NOT_DEPLOYED:
            return self.state == wish and (not self.is_scoped or self.node is None)
        node = self.scope.node
        if node is None or node.held != node.version or self.state != wish:
            return False
        return self.digest is None or self.digest == self.kind.digest


class Node:
    """A machine or board with an agent, as long as it belongs to an application.

    Attributes:
        root: the scoped instance that it is.
        version: of its want; only ever higher.
        sum: digest of the content of that want.
        pubs: (application id, prefix) under which it may have published: to be cleared one day.
        seen: triple of the newest have.
        fresh: a have was taken in since the coordinator started.
        held: version of the want that it last said it has.
        live: (enrolment, boot) of the newest word on whether it is online.
        heard: when it last said anything (monotonic).
        since: when it went offline (wall).
        last: when it was heard, as far as that is on disk (wall); see `lastseen`.
        doomed: it has to go.
        calling: the target is making the machine; nothing else may be asked of it meanwhile.
        exported, imported, outside: prefixes of all its instances, as in `Kind`.
    """

    __slots__ = (
        "address",
        "app",
        "calling",
        "doomed",
        "duplicate",
        "enrolment",
        "exported",
        "fresh",
        "hardware",
        "heard",
        "held",
        "id",
        "imported",
        "info",
        "key",
        "last",
        "live",
        "memory",
        "online",
        "outside",
        "phase",
        "pubs",
        "refused",
        "root",
        "seen",
        "since",
        "sum",
        "target",
        "tries",
        "version",
    )

    def __init__(
        self, node_id: str, key: bytes, target: str, app: "Application", root: Instance
    ) -> None:
        self.id = node_id
        self.key = key
        self.app = app
        self.target = target
        self.root = root
        self.enrolment = 1
        self.version = 0
        self.sum = b""
        self.phase = WAITING
        self.doomed = False
        self.calling = False
        self.pubs: tuple[tuple[str, str], ...] = ()
        self.seen = (0, 0, 0)
        self.fresh = False
        self.held = 0
        self.live = (0, 0)
        self.online = False
        self.heard = 0
        self.since: int | None = None
        self.last: int | None = None
        self.tries = 0
        self.info: tuple[Any, ...] = _NOTHING
        self.memory: int | None = None
        self.address: str | None = None
        self.hardware: tuple[str, ...] = ()
        self.duplicate = False
        self.refused: str | None = None
        self.exported: frozenset[str] = frozenset()
        self.imported: frozenset[str] = frozenset()
        self.outside: frozenset[str] = frozenset()

    @property
    def was_heard(self) -> bool:
        """Tell whether the agent has ever said anything genuine."""
        return self.seen != (0, 0, 0)


class Enrolled:
    """A machine that belongs to the fleet for good; while it is in use, its `Node` counts.

    Attributes:
        board: kind of board, as firmware images call it, or "".
        tags: what people call it.
        version: of the newest want it may hold.
        former: key that it joined with; its password at the broker still follows from it.
        nonce: what its key was made of, until it uses that; else empty.
        hardware, duplicate: as in `Node`, but not stored: two machines with one identity take the
            connection from each other, so that a restarted coordinator soon knows again.
        others: as in `Node`.
    """

    __slots__ = (
        "address",
        "board",
        "duplicate",
        "enrolment",
        "former",
        "hardware",
        "heard",
        "id",
        "info",
        "key",
        "last",
        "live",
        "memory",
        "nonce",
        "online",
        "phase",
        "seen",
        "since",
        "tags",
        "version",
    )

    def __init__(self, node_id: str, key: bytes) -> None:
        self.id = node_id
        self.key = key
        self.board = ""
        self.tags: frozenset[str] = frozenset()
        self.enrolment = 1
        self.version = 0
        self.phase = READY
        self.former = b""
        self.nonce = b""
        self.hardware: tuple[str, ...] = ()
        self.duplicate = False
        self.seen = (0, 0, 0)
        self.live = (0, 0)
        self.online = False
        self.heard = 0
        self.since: int | None = None
        self.last: int | None = None
        self.info: tuple[Any, ...] = _NOTHING
        self.memory: int | None = None
        self.address: str | None = None


class Application:
    """A named, living copy of a template.

    Attributes:
        ref: under which the service finds the template.
        digests: component → digest of its manifest.
        simulate: no step of a recipe is run, whatever the installer; for good.
        bindings: prefix of external imports → ids of the applications that serve it.
        prefix: under which other applications import from this one, or "".
        lost_ms: see `lost-after`.
        exporters: published prefix → ids of the nodes that export it.
        importers, outside: imported prefix → ids of nodes; the second for external imports.
        moved: something was reported since changes were last looked at.
        revision: raised whenever something that is shown of it may have changed.
    """

    def __init__(self, app_id: str, name: str, template: Template, ref: str) -> None:
        self.id = app_id
        self.name = name
        self.target: str | None = None
        self.simulate = False
        self.bindings: dict[str, list[str]] = {}
        self.digests: Mapping[str, bytes] = {}
        self.created = 0
        self.instances: dict[str, Instance] = {}
        self.exporters: dict[str, set[str]] = {}
        self.importers: dict[str, set[str]] = {}
        self.outside: dict[str, set[str]] = {}
        self.kinds: dict[str, Kind] = {}
        self.moved = False
        self.revision = 0
        # Of which revision, and how many instances are how; see `status`.
        self.counts: tuple[int, dict[str, Any]] = (-1, {})
        self.shared: dict[Any, Any] = {}
        self._paths: list[str] | None = None
        self.use(template, ref)

    def use(self, template: Template, ref: str) -> None:
        """Take over another template; its instances are not looked at."""
        self.ref = ref
        self.template_name = template.name
        self.template_version = template.version
        self.graph: Graph = template.graph
        self.settings: Mapping[str, str] = dict(template.settings)
        self.prefix = template.exports_prefix
        self.lost_ms = 60000

    @property
    def paths(self) -> list[str]:
        """The paths of all instances, sorted: parents before children."""
        if self._paths is None or len(self._paths) != len(self.instances):
            self._paths = sorted(self.instances)
        return self._paths

    def forget_paths(self) -> None:
        """The instances are others than before."""
        self._paths = None

    def roots(self) -> Iterator[Instance]:
        """Yield the instances without a parent."""
        return (instance for instance in self.instances.values() if instance.parent is None)

    def scoped(self) -> Iterator[Instance]:
        """Yield the scoped instances."""
        return (instance for instance in self.instances.values() if instance.is_scoped)

    def tree(self, path: str) -> list[Instance]:
        """Return the instance at `path` and all below it, by path."""
        paths, own = self.paths, self.instances.get(path)
        # All that begins with "/web/" lies between that and "/web0".
        first, last = bisect_left(paths, path + "/"), bisect_left(paths, path + "0")
        below = [self.instances[each] for each in paths[first:last]]
        return below if own is None else [own, *below]

    def share(self, value: Any) -> Any:
        """Return an equal object that others use already, for frozen sets and tuples."""
        return self.shared.setdefault(value, value)

    def share_map(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an equal dictionary that others use already; nobody may change it."""
        key = tuple(sorted(value.items()))
        found: Mapping[str, Any] = self.shared.setdefault(key, value)
        return found


def _by_path(instance: Instance) -> str:
    return instance.path


@dataclass(frozen=True)
class Definition:
    """A target with its properties, under an id that people chose.

    Attributes:
        applications, templates: names of those to which it is offered; without any: to all.
    """

    id: str
    handler: str
    name: str
    description: str
    properties: Mapping[str, str]
    applications: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


class Marks:
    """What may have changed since somebody last looked; kept only while that is `wanted`.

    Attributes:
        scopes: scoped instance → its application: all on its node may look different.
        gone: (table, key) of what is not there any more; the name of the application in the key.
        changes: ids.
        enrolled: ids of enrolled machines.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.applications: dict[str, Application] = {}
        self.scopes: dict[Instance, Application] = {}
        self.gone: list[tuple[str, Any]] = []
        self.changes: dict[str, None] = {}
        self.enrolled: dict[str, None] = {}


class World:
    """Everything that a coordinator leads; what the parts of the core share."""

    def __init__(self) -> None:
        self.applications: dict[str, Application] = {}  # by name
        self.by_id: dict[str, Application] = {}
        self.nodes: dict[str, Node] = {}
        self.enrolled: dict[str, Enrolled] = {}
        # Node id → (until (wall ms), (application, prefix) pairs whose topics were cleared).
        self.tombstones: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {}
        self.targets: dict[str, Definition] = {}
        self.tags: dict[str, tuple[str, ...]] = {}  # of a node, sorted
        # (application id or template, path or @Component or "") → id of a target; see `placing`
        self.placed: dict[tuple[str, str], str] = {}
        self.now = 0
        self.link = False
        # Tells whether somebody else uses a port of this box.
        self.port_is_taken: Callable[[int], bool] = lambda port: False
        self.first_port = 10_000
        self.marks = Marks()
        # What was sorted last, and the outcome; see `in_order`.
        self._ids: list[str] = []
        self._sorted: list[str] = []

    def in_order(self, ids: list[str]) -> list[str]:
        """Return ids of nodes, sorted; sorting them for every request would cost more than it."""
        if ids != self._ids:
            self._ids, self._sorted = ids, sorted(ids)
        return self._sorted

    def touch(self, app: Application, scope: Instance | None = None) -> None:
        """Note that what is shown of `app` changed: of itself, or of all on the node `scope`."""
        app.revision += 1
        if self.marks.wanted:
            self.marks.applications[app.id] = app
            if scope is not None:
                self.marks.scopes[scope] = app

    def touch_enrolled(self, one: Enrolled) -> None:
        """Note that what is shown of an enrolled machine changed."""
        if self.marks.wanted:
            self.marks.enrolled[one.id] = None

    def put(self, app: Application, instance: Instance) -> None:
        """Put `instance` into `app`; its parent is there already."""
        app.instances[instance.path] = instance
        app.forget_paths()
        insort(instance.scope.members, instance, key=_by_path)
        if instance.is_scoped and instance.parent is not None:
            instance.parent.scope.nested += (instance,)

    def drop(self, app: Application, instance: Instance) -> None:
        """Take `instance` out of `app`; nothing is left below it."""
        del app.instances[instance.path]
        app.forget_paths()
        instance.scope.members.remove(instance)
        if instance.is_scoped and instance.parent is not None:
            scope = instance.parent.scope
            scope.nested = tuple(one for one in scope.nested if one is not instance)
