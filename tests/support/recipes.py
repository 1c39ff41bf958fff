"""A recipe whose steps are run for real, without agent and broker."""

import threading
import time

from fieldconf_microagent.runner_process import ProcessRunner

from . import waiting


class Recipe:
    """A recipe that a real runner runs steps of, and a bell that `wake` rings.

    Attributes:
        folder: of the recipe.
        data_root: above the data folders of instances.
        runner: the runner.
    """

    def __init__(self, folder, limit=8, **more):
        self.folder = folder / "recipe"
        self.folder.mkdir()
        self.data_root = folder / "data"
        self.woken = threading.Event()
        self.runner = ProcessRunner(str(self.data_root), self.woken.set, limit=limit, **more)
        self.ended = {}

    def write(self, name, text, mode=0o644):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)

    def start(self, step="start", path="/vm1/web", **changes):
        request = {
            "path": path,
            "name": path.split("/")[-1],
            "component": "Web",
            "installer": "script",
            "digest": b"\xff" * 32,
            "recipe_dir": str(self.folder),
            "step": step,
            "exports": {"port": "10000"},
            "ancestors": [["VM", {"ip": "10.0.0.7"}]],
            "imports": {"Data": []},
            "changed": None,
            "cause": None,
            "application": "shop",
            "timeout_ms": 30_000,
        }
        request.update(changes)
        self.runner.start(request)

    def end_of(self, path="/vm1/web", within=30):
        """Wait for the end of a step, as a host does: look only when woken."""
        deadline = time.monotonic() + within
        while path not in self.ended:
            assert self.woken.wait(max(0, deadline - time.monotonic())), f"{path} never ended"
            self.woken.clear()
            for ended, outcome, detail in self.runner.poll():
                self.ended[ended] = (outcome, detail)
        return self.ended.pop(path)

    def run(self, step="start", **changes):
        self.start(step, **changes)
        return self.end_of(changes.get("path", "/vm1/web"))

    def log(self):
        return b"".join(text for _, _, text in self.runner.logs())


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(file):
    waiting.until(lambda: file.exists() and file.read_text().strip())
    return int(file.read_text())
