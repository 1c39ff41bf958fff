"""A fleet whose agents are played by the test: what is published is kept, answers are sealed."""

import random

from fieldconf_coordinator.core import rows
from fieldconf_coordinator.core.fleet import Fleet
from fieldconf_dsl import model
from fieldconf_microagent import codec, envelope, topics

WEB_DIGEST = b"w" * 32


def component(name, installer="script", exports=(), imports=(), children=(), ancestors=()):
    full = {}
    for export in exports:
        variable, _, value = export.partition("=")
        random_port = "port" if variable.startswith("random ") else None
        variable = variable.removeprefix("random ")
        variable = variable if "." in variable else f"{name}.{variable}"
        full[variable] = model.Export(value or None, random_port)
    wanted = {}
    for text in imports:
        optional, external = text.endswith("?"), text.startswith("external ")
        variable = text.removeprefix("external ").rstrip("?")
        prefix, _, local = variable.partition(".")
        wanted[variable] = model.Import(prefix, local, optional, external)
    return model.Component(
        name, installer, full, wanted, tuple(children), tuple(ancestors), recipe_owner=name
    )


def template(components, instances, name="shop", version="1.0", **more):
    graph = model.Graph(
        {c.name: c for c in components}, {}, tuple(c.name for c in components if not c.ancestors)
    )
    made = []
    for one in instances:
        path, kind, *rest = one
        exports, data = (*rest, {}, {})[:2]
        made.append(model.Instance(path.rpartition("/")[2], kind, path, exports, data))
    return model.Template(name, version, graph, tuple(made), **more)


def web_graph():
    return [
        component("VM", "target", ["ip"], children=["Web", "Data", "Lb", "Box"]),
        component("Web", exports=["ip", "random port"], imports=["Data.*"], ancestors=["VM"]),
        component("Data", exports=["ip", "port=3306"], ancestors=["VM", "Box"]),
        component("Lb", imports=["Web.ip", "Web.port"], ancestors=["VM"]),
        component("Box", children=["Inner", "Data"], ancestors=["VM"]),
        component("Inner", "target", ["ip"], children=["Web"], ancestors=["Box"]),
    ]


def web_template(webs=2, version="1.0", extra=(), **more):
    instances = [("/data", "VM"), ("/data/data", "Data"), ("/lb", "VM"), ("/lb/lb", "Lb")]
    for index in range(1, webs + 1):
        instances += [(f"/web{index}", "VM"), (f"/web{index}/web", "Web")]
    return template(web_graph(), [*instances, *extra], version=version, **more)


def _written(effect):
    """Return an effect with the row that is written now; what it tells of may change any time."""
    if effect[0] != "store" or effect[3] is None:
        return effect
    return (*effect[:3], rows.of(effect[2], effect[3]))


class Desk:
    """A fleet, the retained messages, the rows, and a clock."""

    def __init__(self, templates=(), **more):
        self.more = {"domain": "fc", "fleet_id": "fleet", "default_target": "memory", **more}
        self.wall = 1_000_000_000
        self.now = 0
        self.rows = {}
        self.retained = {}
        self.effects = []
        self.templates = {}
        self.fleet = self.new_fleet()
        self.seq = {}

    def new_fleet(self, seed=1):
        return Fleet(random=random.Random(seed), wall=lambda: self.wall + self.now, **self.more)

    def start(self):
        self.fleet.on_link(self.now, True)
        return self.take()

    def restart(self, seed=2):
        """Kill the coordinator and start another one from the rows."""
        self.fleet = self.new_fleet(seed)
        tables = {}
        for (table, _), row in self.rows.items():
            tables.setdefault(table, []).append(row)
        self.fleet.restore(tables, self.templates)
        return self.start()

    def take(self):
        effects = [_written(effect) for effect in self.fleet.take()]
        for effect in effects:
            if effect[0] == "store":
                _, table, key, row = effect
                codec.pack(row)
                if row is None:
                    self.rows.pop((table, key), None)
                else:
                    self.rows[table, key] = row
            elif effect[0] == "publish" and effect[4]:
                self.retained[effect[1]] = effect[2]
        self.effects += effects
        return effects

    def deploy(self, what, digests=None, name="shop", target=None, simulate=False):
        ref = f"{what.name}-{what.version}"
        self.templates[ref] = what
        digests = {"Web": WEB_DIGEST} if digests is None else digests
        result = self.fleet.deploy(self.now, what, ref, digests, name, target, simulate)
        self.take()
        return result

    def pass_time(self, ms):
        """Let time pass, tick by tick."""
        end = self.now + ms
        found = []
        while True:
            wake = self.fleet.next_wake()
            if wake is None or wake > end:
                break
            self.now = max(self.now, wake)
            self.fleet.tick(self.now)
            found += self.take()
        self.now = end
        return found

    # -- looking

    def node_id(self, path, app="shop"):
        root = self.fleet.world.applications[app].instances[path]
        return root.node.id if root.node else None

    def node(self, path, app="shop"):
        return self.fleet.world.applications[app].instances[path].node

    def want(self, path, app="shop"):
        node = self.node(path, app)
        return self.want_of(node.id, node.key)

    def want_of(self, node_id, key):
        sealed = self.retained[topics.want("fc", node_id)]
        return codec.unpack(envelope.open_sealed(key, node_id, "want", sealed))

    def state(self, path, app="shop"):
        return self.shown(path, app)["state"]

    def shown(self, path, app="shop"):
        listed = self.fleet.status(app)["applications"][0]["instances"]
        return next(one for one in listed if one["path"] == path)

    def paths(self, app="shop"):
        return sorted(self.fleet.world.applications[app].instances)

    # -- being an agent

    def live(self, node, online=True, boot=1):
        payload = codec.pack([node.enrolment, boot, online])
        self.fleet.on_message(self.now, "live", node.id, payload)

    def have(self, node, version=None, app=None, instances=None, boot=1, seq=None, **more):
        """Say what `node` has; without words about it: all that is wanted, as it is wanted."""
        want = self.want_of(node.id, node.key)
        if instances is None:
            instances = as_wanted(want)
        if seq is None:
            seq = self.seq[node.id] = self.seq.get(node.id, 0) + 1
        document = {
            "e": node.enrolment,
            "b": boot,
            "s": seq,
            "v": want["v"] if version is None else version,
            "app": want["app"] if app is None else app,
            "i": instances,
            "n": {"py": "CPython", "agent": "0", "mem": 1, "inst": ["script"], "fmt": [1], **more},
        }
        sealed = envelope.seal(node.key, node.id, "have", codec.pack(document))
        self.fleet.on_message(self.now, "have", node.id, sealed)
        return self.take()

    def arrive(self, path, app="shop"):
        """Let the machine of `path` be made, and its agent do all that is wanted."""
        node = self.node(path, app)
        self.fleet.on_target(self.now, node.id, "created")
        self.live(node)
        return self.have(node)

    def settle(self, app="shop"):
        """Let every node do all that is wanted, until nothing is new and all is on disk."""
        for _ in range(6):
            for node in list(self.fleet.world.nodes.values()):
                if node.app.name == app and node.phase != "waiting" and not node.doomed:
                    self.fleet.on_target(self.now, node.id, "created")
                    if not node.online:
                        self.live(node)
                    self.have(node)
        self.pass_time(1000)

    def did(self, node, order, status="ok", result=None, boot=1):
        sealed = envelope.seal(node.key, node.id, "did", codec.pack([order, boot, status, result]))
        self.fleet.on_message(self.now, "did", node.id, sealed)
        return self.take()


def as_wanted(want):
    """Return what an agent reports that has done all that is wanted."""
    found = {}
    for entry in want["i"]:
        above = found.get(entry["p"].rpartition("/")[0], {"s": "deployed-started"})["s"]
        state = entry["w"]
        if above == "not-deployed":
            state = above
        elif state == "deployed-started" != above:
            state = "waiting-for-ancestor"
        found[entry["p"]] = {"s": state, **({"d": entry["d"]} if "d" in entry else {})}
    return found


def orders(effects, node):
    """Return the `do` requests to `node` among effects."""
    found = []
    for effect in effects:
        if effect[0] == "publish" and effect[1] == topics.do("fc", node.id):
            found.append(codec.unpack(envelope.open_sealed(node.key, node.id, "do", effect[2])))
    return found


def kinds(effects, kind):
    return [effect for effect in effects if effect[0] == kind]
