"""What a step costs beside the tool it runs: `puppet apply` and `ansible-playbook`.

Both do the same nothing, in turns; the step has its process, its variables and its log besides.
"""

import os
import shutil
import statistics
import subprocess
import threading
import time

import bench

from fieldconf_microagent import installer_ansible
from fieldconf_microagent.runner_process import ProcessRunner

_CLASS = "class roboconf_x($runningState = undef) { notify { 'x': } }\n"
_PLAY = "- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {msg: x}}]\n"


def run(folder, quick):
    table = bench.Table("A step beside its tool", "tool", "bare s", "as a step s", "ratio")
    recipe = folder / "recipe"
    manifests = recipe / "roboconf_x" / "manifests"
    manifests.mkdir(parents=True)
    (manifests / "init.pp").write_text(_CLASS)
    (recipe / "start.yml").write_text(_PLAY)
    for name, command in _commands(recipe).items():
        if shutil.which(command[0]) is None:
            table.note(f"{name}: not here")
            continue
        bare, step = _in_turns(folder, recipe, name, command, 3 if quick else 10)
        medians = statistics.median(bare), statistics.median(step)
        table.add(name, *(f"{one:.2f}" for one in medians), f"{medians[1] / medians[0]:.2f}")
    return [table]


def _commands(recipe):
    playbook = installer_ansible.program() or "ansible-playbook"
    declared = "class { 'roboconf_x': runningState => 'running' }"
    return {
        "puppet": ["puppet", "apply", "--modulepath", str(recipe), "-e", declared],
        "ansible": [playbook, "-i", "localhost,", "-c", "local", str(recipe / "start.yml")],
    }


def _in_turns(folder, recipe, installer, command, count):
    ended = threading.Event()
    runner = ProcessRunner(str(folder / "data"), ended.set)
    request = {
        **dict.fromkeys(("path", "name", "component", "application"), "/x"),
        **{"installer": installer, "digest": b"", "recipe_dir": str(recipe), "step": "start"},
        **{"exports": {}, "ancestors": [], "imports": {}, "changed": None, "cause": None},
        "timeout_ms": 60_000,
    }
    bare, step = [], []
    for _ in range(count):
        bare.append(_timed(lambda: subprocess.run(command, check=True, **_quiet())))
        step.append(_timed(lambda: (runner.start(request), ended.wait(60))))
        ended.clear()
        [(_, outcome, detail)] = runner.poll()
        assert outcome == "done", detail
    runner.close()
    return bare, step


def _quiet():
    return {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ}


def _timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began
