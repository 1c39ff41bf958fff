"""``fieldconf demo``: a story of an application, its faults, and what becomes of them.

Everything is real: an embedded broker, a coordinator, one agent process for every node, and the
services that they start. All of it lies in a temporary folder and is gone when the demo ends,
whatever ended it.
"""

import http.client
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from fieldconf_microagent import states
from fieldconf_targets import processes
from fieldconf_targets.local import FOLDER_VARIABLE, LocalTarget

from ..brokers.embedded import EmbeddedBroker
from ..rest.server import serving
from ..service import running
from ..service.service import Options, Service
from .common import instance_rows, table
from .waiting import Progress

_PATIENCE_S = 60.0
_LOOK_S = 0.05
# A machine is made again when it was found dead twice: later than `lost-after`, to be seen.
_OPTIONS = Options(reconnect_ms=300, machines_s=2.0)


class Stopped(Exception):
    """Somebody wants the demo to end."""


class Failed(Exception):
    """Something did not happen; the message says what."""


def run(and_exit: bool, stop: threading.Event, say: Callable[[str], None]) -> int:
    """Run the demo until its story is told, or `stop` is set; return the exit status."""
    template = example("web-cluster")
    folder = Path(tempfile.mkdtemp(prefix="fieldconf-demo-"))
    try:
        with running.coordinator(folder, EmbeddedBroker, _OPTIONS) as service:
            with serving(service, "127.0.0.1:0"):
                return _with_service(service, template, and_exit, stop, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _with_service(
    service: Service,
    template: Path,
    and_exit: bool,
    stop: threading.Event,
    say: Callable[[str], None],
) -> int:
    loop = threading.Thread(target=service.run, name="coordinator", daemon=True)
    loop.start()
    demo = Demo(service, stop, say)
    try:
        demo.tell(template)
        if not and_exit:
            say("\nIt runs on. In another terminal, for instance:")
            say(f"  fieldconf status --watch --data {service.data}")
            say("Ctrl-C ends it.")
            stop.wait()
        return 0
    except Stopped:
        return 130 if and_exit else 0
    except Failed as error:
        say(f"\nerror: {error}")
        demo.explain()
        return 1
    finally:
        say("\nStopping and undeploying everything")
        demo.clean_up()
        service.stop()
        loop.join()
        say("Nothing is left: no process, no file.")


def example(name: str) -> Path:
    """Return the folder of an example, from the installed package or the checkout."""
    try:
        found = Path(str(resources.files("fieldconf_examples"))) / name
    except ModuleNotFoundError:
        found = Path(__file__).parents[3] / "examples" / name
    if not found.is_dir():
        raise Failed(f"the example {name} is not there: {found}")
    return found


class Demo:
    """Tells the story; every step waits until it has come true."""

    def __init__(self, service: Service, stop: threading.Event, say: Callable[[str], None]) -> None:
        self._service = service
        self._stop = stop
        self._say = say
        self._app = "web-cluster"

    def tell(self, template: Path) -> None:
        """Tell the whole story."""
        self._chapter(f"Deploying {template.name}: a data service, web servers, a load balancer")
        self._change("deploy", path=str(template), name=self._app)
        self._show_table()
        self._expect_balanced(2)

        self._chapter("Adding a web server: the load balancer's update script picks it up")
        self._change("scale", path="/web-vm", count=3)
        self._expect_balanced(3)

        self._chapter("Killing the service of /web-vm1/web: its check step notices")
        self._kill_service("/web-vm1")
        self._expect_balanced(3)

        self._chapter("Killing node /web-vm2, agent and services: lost after 2 s, then made again")
        self._kill_node("/web-vm2")
        self._expect_balanced(3)

        self._chapter("Stopping the data service: the web servers cannot run without it")
        self._change("wish", path="/data-vm/data", wish=states.STOPPED)
        webs = ["/web-vm1/web", "/web-vm2/web", "/web-vm3/web"]
        self._wait_for_states(webs, states.UNRESOLVED)
        self._chapter("Starting it: they return")
        self._change("wish", path="/data-vm/data", wish=states.STARTED)
        self._wait_for_states(webs, states.STARTED)
        self._expect_balanced(3)
        self._show_table()

    def explain(self) -> None:
        """Tell why each instance that is not where it is wished is not there."""
        for instance in self._status()["instances"]:
            for reason in self._ask("why", app=self._app, path=instance["path"]):
                self._say(f"  {reason['path']} {reason['text']}")

    def clean_up(self) -> None:
        """Undeploy everything; what does not go in time is ended by force."""
        self._stop = threading.Event()
        try:
            if self._ask("status")["applications"]:
                answer = self._ask("wish", app=self._app, path=None, wish=states.NOT_DEPLOYED)
                self._until(
                    lambda: self._ask("change", id=answer["change"])["outcome"] != "running",
                    "everything is undeployed",
                )
                self._until(lambda: not self._ask("status")["nodes"], "every node is gone")
        except Exception as error:  # whatever it was, nothing may be left behind
            self._say(f"error: {error}")
        target = self._local()
        for machine in target.list():
            target.destroy(machine.node, force=True)

    # -- steps of the story

    def _change(self, request: str, **arguments: Any) -> None:
        if request != "deploy":
            arguments["app"] = self._app
        answer = self._ask(request, **arguments)
        progress = Progress()

        def is_done() -> bool:
            change = self._ask("change", id=answer["change"])
            for line in progress.news(change):
                self._say(line)
            return bool(change["outcome"] == "done")

        self._until(is_done, "the change is done")

    def _show_table(self) -> None:
        self._say("")
        self._say(table(("instance", "state", "address", ""), instance_rows(self._status())))

    def _kill_service(self, root: str) -> None:
        folder = self._node_folder(root)
        before = self._services(folder)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        self._say(f"  killed process {', '.join(map(str, before))}")
        after = self._until(
            lambda: [pid for pid in self._services(folder) if pid not in before],
            f"the service of {root} runs again",
        )
        self._wait_for_states([root + "/web"], states.STARTED)
        self._say(f"  it runs again, as process {', '.join(map(str, after))}")

    def _kill_node(self, root: str) -> None:
        count = len(self._backends())
        began = time.monotonic()
        self._local().kill_node(self._node(root))
        self._say("  killed it")
        self._until(
            lambda: len(self._backends()) == count - 1, f"the load balancer drops {root}/web"
        )
        self._say(f"  after {time.monotonic() - began:.1f} s the load balancer has dropped it")
        self._until(lambda: len(self._backends()) == count, f"{root}/web returns")
        self._wait_for_states([root + "/web"], states.STARTED)
        self._say(f"  after {time.monotonic() - began:.1f} s it is back")

    def _wait_for_states(self, paths: list[str], state: str) -> None:
        def are_there() -> bool:
            found = {one["path"]: one["state"] for one in self._status()["instances"]}
            return all(found.get(path) == state for path in paths)

        self._until(are_there, f"{', '.join(paths)} {'is' if len(paths) == 1 else 'are'} {state}")
        self._say(f"  {', '.join(paths)}: {state}")

    def _expect_balanced(self, count: int) -> None:
        """Send requests through the load balancer until each of `count` back ends has answered."""
        reached: set[str] = set()

        def all_reached() -> bool:
            backend = self._through_balancer()
            if backend is not None:
                reached.add(backend)
            return len(reached) == count == len(self._backends())

        self._until(all_reached, f"requests reach {count} web servers, but only {sorted(reached)}")
        self._say(f"  the load balancer reaches {', '.join(sorted(reached))}")

    # -- looking

    def _through_balancer(self) -> str | None:
        status, headers, _ = self._get("/")
        return headers.get("X-Backend") if status == 200 else None

    def _backends(self) -> list[Any]:
        status, _, body = self._get("/backends")
        return list(json.loads(body)) if status == 200 else []

    def _get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask the load balancer; status 0: it does not answer."""
        found = [one for one in self._status()["instances"] if one["component"] == "Balancer"]
        exports = found[0]["exports"]
        host, port = exports.get("Balancer.ip"), exports.get("Balancer.port")
        if not host or not port:
            return 0, {}, b""
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException):
            return 0, {}, b""
        finally:
            connection.close()

    def _services(self, folder: Path) -> list[int]:
        """Return the services that run on a node: what is in its sessions and serves."""
        found = []
        for pid in processes.with_environment(FOLDER_VARIABLE, str(folder)):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"serve.py" in command:
                found.append(pid)
        return found

    def _node(self, root: str) -> str:
        return str(next(one["node"] for one in self._status()["instances"] if one["path"] == root))

    def _node_folder(self, root: str) -> Path:
        return self._service.data / "nodes" / "local" / self._node(root)

    def _local(self) -> LocalTarget:
        target = self._service.workers.target("local")
        assert isinstance(target, LocalTarget)
        return target

    def _status(self) -> dict[str, Any]:
        app: dict[str, Any] = self._ask("status", app=self._app)["applications"][0]
        return app

    def _ask(self, request: str, **arguments: Any) -> Any:
        return self._service.ask(request, arguments)

    def _chapter(self, title: str) -> None:
        self._say(f"\n{title}")

    def _until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition holds and return what it answered."""
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise Failed(f"waited in vain for {_PATIENCE_S:.0f} s until {what}")
            if self._stop.wait(_LOOK_S):
                raise Stopped
        return found
