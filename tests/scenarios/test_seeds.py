"""Short lives of a fleet full of faults, one per seed: whatever happened, it converges.

Replay one with ``FIELDCONF_SEED=123 pytest tests/scenarios/test_seeds.py``; run more with
``FIELDCONF_SEEDS=20000``.
"""

import os
import subprocess
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from fieldconf_coordinator.errors import FleetError
from fieldconf_microagent import states
from support.simulation import Faults, Watch, new_world
from support.templates import SHOP, SHOP_INSTANCES, template

SEEDS = int(os.environ.get("FIELDCONF_SEEDS", "2000"))
LOST_AFTER = 2000
DIGESTS = {"Web": b"w" * 32, "Data": b"d" * 32, "Balancer": b"b" * 32}

OLD = template(lost_after="2s")
NEW = template(
    SHOP, SHOP_INSTANCES.replace("count: 2;", "count: 3;"), version="1.1", lost_after="2s"
)

# In every fourth life some nodes are enrolled boards, which outlive what they are used for.
BOARDS_INSTANCES = SHOP_INSTANCES.replace(
    "name: data-vm;", "name: data-vm;\n    data.target: embedded;"
).replace("name: lb-vm;", "name: lb-vm;\n    data.target: embedded;")
OLD_BOARDS = template(SHOP, BOARDS_INSTANCES, lost_after="2s")
NEW_BOARDS = template(
    SHOP, BOARDS_INSTANCES.replace("count: 2;", "count: 3;"), version="1.1", lost_after="2s"
)


class Life:
    """One seed: deploy, wishes and faults for a while, then calm, then look."""

    def __init__(self, seed):
        self.seed = seed
        self.has_boards = seed % 4 == 3
        self.old, self.new = (OLD_BOARDS, NEW_BOARDS) if self.has_boards else (OLD, NEW)
        self.shop = new_world(seed, {"old": self.old, "new": self.new})
        self.world = self.shop.world
        self.told = []
        self.watch = Watch(self.shop, LOST_AFTER)
        self.shop.on_machine = self._ways
        self.shop.create_ms = lambda: self.world.random.randrange(500)

    def _ways(self, node):
        node.duration = lambda request: self.world.random.randrange(400)
        node.fetch_ms = lambda: self.world.random.randrange(300)

    def run(self):
        for name in ("b1", "b2") if self.has_boards else ():
            self.shop.enrol(name)
        self._request("deploy", self.old, "old", DIGESTS, "shop")
        end = self.world.now + 10_000 + self.world.random.randrange(60_000)
        self.faults = Faults(self.shop, end)
        while self.world.now < end:
            self.world.run(self.world.random.randrange(8000))
            self._wish()
        self.world.run_until(lambda: self.world.now > end)
        self.converges()

    def _wish(self):
        roots = ["/data-vm", "/web-vm1", "/web-vm2", "/lb-vm"]
        paths = [*roots, "/data-vm/data", "/web-vm1/web", "/lb-vm/lb", None]
        random = self.world.random
        kind = random.choice(("wish", "wish", "wish", "scale", "deploy", "retry"))
        if kind == "wish":
            wish = random.choice((states.STARTED, states.STARTED, states.STOPPED))
            path = random.choice(paths)
            if path in roots or path is None:
                wish = random.choice((wish, states.NOT_DEPLOYED))
            self._request("set_wish", "shop", path, wish)
        elif kind == "scale":
            self._request("scale", "shop", "/web-vm1", 1 + random.randrange(4))
        elif kind == "deploy":
            new = random.random() < 0.7
            digests = dict(DIGESTS, Web=b"W" * 32) if new else DIGESTS
            template, ref = (self.new, "new") if new else (self.old, "old")
            self._request("deploy", template, ref, digests, "shop")
        else:
            self._request("retry", "shop", random.choice(paths[4:7]))

    def _request(self, name, *arguments):
        if self.shop.fleet is None:
            return
        shown = arguments[1:2] if name == "deploy" else arguments
        self.told.append((self.world.now, name, *shown))
        try:
            self.shop.request(name, *arguments)
        except FleetError as error:
            self.told.append(str(error))

    def converges(self):
        deadline = self.world.now + 900_000
        while not self._stays_calm():
            assert self.world.now < deadline, self.tell("did not converge")
        assert not self.watch.broken, self.tell(f"ran without imports: {self.watch.broken[:3]}")

    def _stays_calm(self):
        """Let some time pass; tell whether all was well before and after, and no step ran."""
        before = self._steps()
        for _ in range(40):
            if not self._is_calm():
                self.world.run(500)
                return False
            self.world.run(500)
        return self._is_calm() and self._steps() == before

    def _steps(self):
        return {node: len(machine.ran()) for node, machine in self.shop.machines.items()}

    def _is_calm(self):
        if self.shop.fleet is None or not self.shop.session:
            return False
        listed = self.shop.instances()
        for path, told in listed.items():
            if told["leaving"] or not self._is_well(path, told, listed):
                return False
        nodes = {told["node"] for told in listed.values() if told["node"]}
        free = set(self.shop.boards) - nodes
        if any(self.shop.boards[name].agent.tree.order for name in free):
            return False
        return set(self.shop.machines) == nodes and self._services_run(listed)

    def _is_well(self, path, told, listed):
        """Tell whether an instance is as its wish, its parents and its imports make it."""
        wish, state = told["wish"], told["state"]
        above = path.rpartition("/")[0]
        if above and listed[above]["state"] == states.NOT_DEPLOYED:
            return state == states.NOT_DEPLOYED
        if wish == states.NOT_DEPLOYED and not above and told["node"]:
            return False
        if wish != states.STARTED:
            return state == wish
        if above and listed[above]["state"] != states.STARTED:
            return state == states.WAITING
        needed = {"Web": "Data", "Balancer": "Web"}.get(told["component"])
        if needed and not any(
            other["component"] == needed and other["state"] == states.STARTED
            for other in listed.values()
        ):
            return state == states.UNRESOLVED
        return state == states.STARTED

    def _services_run(self, listed):
        """Tell whether exactly the instances that are told to be started run."""
        for node, machine in self.shop.machines.items():
            told = {
                path
                for path, instance in listed.items()
                if instance["node"] == node
                and instance["state"] == states.STARTED
                and instance["component"] != "VM"
            }
            # A stop that failed three times counts as done, whatever is left of the service.
            left = {path for path in machine.running - told if self._gave_up(listed.get(path))}
            if machine.running - left != told:
                return False
        return True

    @staticmethod
    def _gave_up(told):
        return told and told["problem"] and told["problem"]["text"].startswith("stop: ")

    def tell(self, what):
        lines = [f"seed {self.seed} {what}; replay with FIELDCONF_SEED={self.seed}"]
        for path, told in self.shop.instances().items() if self.shop.fleet else ():
            problem = told["problem"] or ""
            lines.append(f"  {path}: {told['state']} (wished {told['wish']}) {problem}")
        lines += [f"  request {told}" for told in self.told]
        lines += [f"  fault {fault}" for fault in self.faults.done]
        return "\n".join(lines)


if "FIELDCONF_SEED" in os.environ:

    def test_one_seed():
        Life(int(os.environ["FIELDCONF_SEED"])).run()

else:

    @pytest.mark.timeout(900)
    def test_whatever_happens_the_fleet_converges():
        with ProcessPoolExecutor() as pool:
            failures = [text for text in pool.map(live, range(SEEDS), chunksize=20) if text]

        assert not failures, f"{len(failures)} of {SEEDS} seeds\n" + "\n".join(failures[:3])


def test_a_seed_gives_the_same_life_in_every_process():
    def trace(hash_seed):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        }
        code = "import test_seeds; print([test_seeds.trace(seed) for seed in range(40, 60)])"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    assert trace("1") == trace("2")


def trace(seed):
    """Return what identifies a life: how long it took, and how much was said in it."""
    life = Life(seed)
    life.run()
    return life.world.now, life.world.broker.count, len(life.shop.history)


def live(seed):
    """Live one life; return what went wrong, or None. Runs in a process of the pool."""
    try:
        Life(seed).run()
    except AssertionError as error:
        return str(error)
    except Exception as error:
        return f"seed {seed} {error!r}\n{traceback.format_exc()}"
