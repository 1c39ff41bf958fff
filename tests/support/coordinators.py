"""A whole coordinator in this process: service in a thread, broker beside it, a client's view."""

import threading
from contextlib import contextmanager, nullcontext

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.rest.server import serving
from fieldconf_coordinator.service import running
from fieldconf_coordinator.service.service import Options
from support.waiting import until


class Coordinator:
    """A running service, and what tests ask it."""

    def __init__(self, service, thread):
        self.service = service
        self.thread = thread

    def ask(self, request, **arguments):
        return self.service.ask(request, arguments)

    def deploy(self, path, **arguments):
        """Deploy a template and wait until it is done."""
        return self.done(self.ask("deploy", path=str(path), **arguments))

    def done(self, answer):
        """Wait for the change that a request began."""
        until(lambda: self.ask("change", id=answer["change"])["outcome"] != "running", 60)
        return answer

    def states(self, app):
        """Return {path: state}."""
        found = self.ask("status", app=app)["applications"][0]["instances"]
        return {one["path"]: one["state"] for one in found}

    def instance(self, app, path):
        found = self.ask("status", app=app)["applications"][0]["instances"]
        return next(one for one in found if one["path"] == path)

    def target(self, handler):
        return self.service.workers.target(handler)


@contextmanager
def coordinator(folder, make_broker=EmbeddedBroker, serves=False, **options):
    """Run a coordinator on a data folder; nodes in memory unless `target` says otherwise.

    With `serves` it is served over REST, too, as ``fieldconf up`` does. Machines that outlive it
    are not cleaned up here: see `clean`.
    """
    chosen = Options(**{"target": "memory", "reconnect_ms": 200, "machines_s": 0.2, **options})
    with running.coordinator(folder, make_broker, chosen) as service, _rest(service, serves):
        thread = threading.Thread(target=service.run, name="coordinator", daemon=True)
        thread.start()
        try:
            yield Coordinator(service, thread)
        finally:
            service.stop()
            thread.join(30)
            assert not thread.is_alive()


def _rest(service, serves):
    return serving(service, "127.0.0.1:0") if serves else nullcontext()


def clean(folder):
    """End every local node below a data folder by force."""
    from fieldconf_targets.local import LocalTarget

    target = LocalTarget("", folder / "nodes" / "local")
    for tag in (folder / "nodes" / "local").glob("*/tag.json"):
        target.destroy(tag.parent.name, force=True)
