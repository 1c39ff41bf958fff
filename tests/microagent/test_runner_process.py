"""Steps as processes: every way they can end, and what they are told."""

import gc
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from fieldconf_microagent.children import TAIL, Output
from fieldconf_microagent.python_step import ABSENT_STATUS
from fieldconf_microagent.runner_process import ProcessRunner


class World:
    """A runner with a recipe folder, and a bell that `wake` rings."""

    def __init__(self, folder, limit=8):
        self.recipe = folder / "recipe"
        self.recipe.mkdir()
        self.data_root = folder / "data"
        self.woken = threading.Event()
        self.runner = ProcessRunner(str(self.data_root), self.woken.set, limit=limit)
        self.ended = {}

    def write(self, name, text, mode=0o644):
        file = self.recipe / name
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
            "recipe_dir": str(self.recipe),
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


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.runner.close()


def wait_for(condition, within=20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(file):
    wait_for(lambda: file.exists() and file.read_text().strip())
    return int(file.read_text())


# Outcomes


def test_a_script_that_ends_well_is_done(world):
    world.write("scripts/start.sh", "echo hello $port\n")

    assert world.run() == ("done", "")
    assert world.log() == b"hello 10000\n"
    assert world.runner.busy() == 0


def test_a_failure_tells_status_and_last_lines(world):
    world.write("scripts/start.sh", "echo one\necho two >&2\nexit 3\n")

    assert world.run() == ("failed", "exit status 3\none\ntwo")


def test_a_signal_is_named(world):
    world.write("scripts/start.sh", "kill -SEGV $$\n")

    assert world.run() == ("failed", "ended by SIGSEGV")


@pytest.mark.parametrize("installer", ["script", "python"])
def test_a_missing_step_is_absent(world, installer):
    assert world.run(installer=installer) == ("absent", "")
    assert world.run(installer=installer, recipe_dir=None) == ("absent", "")


def test_an_unknown_installer_fails_in_words(world):
    outcome, detail = world.run(installer="puppet")

    assert outcome == "failed"
    assert "'puppet'" in detail


def test_no_exit_status_of_a_script_means_absent(world):
    world.write("scripts/start.sh", f"exit {ABSENT_STATUS}\n")

    assert world.run()[0] == "failed"


def test_the_logger_writes_the_step(world):
    assert world.run("update", installer="logger", recipe_dir=None) == ("done", "")
    assert world.runner.logs() == [("/vm1/web", "update", b"update /vm1/web\n")]


# Time limits and cancelling


def test_a_step_over_its_time_is_ended_with_its_group(world):
    world.write("scripts/start.sh", 'sleep 600 & echo $! > "$FIELDCONF_DATA_DIR/pid"\nwait\n')

    outcome, detail = world.run(timeout_ms=300)

    assert (outcome, detail) == ("timeout", "not finished after 0.3 s")
    pid = pid_in(world.data_root / "vm1+web" / "pid")
    wait_for(lambda: not lives(pid))


def test_a_step_that_ignores_sigterm_is_killed(world):
    world.write("scripts/start.sh", "trap '' TERM\necho ready\nwhile :; do sleep 0.05; done\n")

    world.start()
    wait_for(lambda: b"ready" in world.log())
    world.runner.cancel("/vm1/web")

    assert world.end_of() == ("cancelled", "cancelled\nready")


def test_a_step_has_time_to_clean_up_when_it_is_cancelled(world):
    world.write(
        "scripts/start.sh",
        "trap 'touch \"$FIELDCONF_DATA_DIR/cleaned\"; exit 1' TERM\n"
        "echo ready\nwhile :; do sleep 0.05; done\n",
    )

    world.start()
    wait_for(lambda: b"ready" in world.log())
    world.runner.cancel("/vm1/web")

    assert world.end_of()[0] == "cancelled"
    assert (world.data_root / "vm1+web" / "cleaned").exists()


def test_a_time_limit_may_be_a_year(world):
    world.write("scripts/start.sh", "sleep 0.2\n")

    assert world.run(timeout_ms=366 * 86_400_000) == ("done", "")


def test_cancelling_nothing_is_fine(world):
    world.runner.cancel("/nobody")

    assert world.runner.poll() == []


def test_a_waiting_step_can_be_cancelled(tmp_path):
    world = World(tmp_path, limit=1)
    world.write("scripts/start.sh", "sleep 600\n")
    try:
        world.start(path="/a")
        world.start(path="/b")
        assert world.runner.busy() == 2
        world.runner.cancel("/b")
        assert world.end_of("/b")[0] == "cancelled"
        world.runner.cancel("/a")
        assert world.end_of("/a")[0] == "cancelled"
    finally:
        world.runner.close()


def test_steps_wait_for_their_turn_in_order(tmp_path):
    world = World(tmp_path, limit=1)
    world.write("files/order", "")
    world.write(
        "scripts/start.sh",
        'cd "$FIELDCONF_FILES_DIR"\nmkdir running || exit 1\n'
        "echo $ROBOCONF_INSTANCE_NAME >> order\nsleep 0.05\nrmdir running\n",
    )
    try:
        for name in "abcdef":
            world.start(path="/" + name)
        for name in "abcdef":
            assert world.end_of("/" + name) == ("done", "")
    finally:
        world.runner.close()

    assert (world.recipe / "files/order").read_text().split() == list("abcdef")


def test_two_steps_of_one_instance_are_refused(world):
    world.write("scripts/start.sh", "sleep 600\n")
    world.start()

    with pytest.raises(ValueError, match="/vm1/web runs a step already"):
        world.start("update")


def test_close_ends_every_process(tmp_path):
    world = World(tmp_path)
    world.write("scripts/start.sh", 'echo $$ > "$FIELDCONF_DATA_DIR/pid"\nsleep 600\n')
    for name in "abc":
        world.start(path="/" + name)
    pids = [pid_in(world.data_root / name / "pid") for name in "abc"]

    world.runner.close()
    world.runner.close()

    wait_for(lambda: not any(lives(pid) for pid in pids))


# Services that a script leaves running


@pytest.mark.parametrize("how", ["sleep 600 &", "setsid sleep 600 &", "nohup sleep 600 &"])
def test_a_service_left_running_neither_blocks_nor_dies(world, how):
    world.write(
        "scripts/start.sh",
        f'{how}\necho $! > "$FIELDCONF_DATA_DIR/pid"\necho started\n',
    )

    assert world.run() == ("done", "")
    pid = pid_in(world.data_root / "vm1+web" / "pid")
    try:
        assert b"started" in world.log()
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_service_may_go_on_printing_to_the_log(world):
    world.write(
        "scripts/start.sh",
        '(while [ ! -e "$FIELDCONF_DATA_DIR/end" ]; do echo tick; sleep 0.02; done) &\n'
        'echo $! > "$FIELDCONF_DATA_DIR/pid"\n',
    )
    assert world.run() == ("done", "")
    pid = pid_in(world.data_root / "vm1+web" / "pid")

    world.log()
    wait_for(lambda: b"tick" in world.log())

    assert lives(pid)
    (world.data_root / "vm1+web" / "end").touch()
    wait_for(lambda: not lives(pid))


# Output


def test_much_output_neither_blocks_nor_fills_memory(world):
    world.write(
        "scripts/start.py",
        "import sys\nfor i in range(1600):\n    sys.stdout.write('x' * 65536 + '\\n')\n"
        "print('the end')\nsys.exit(1)\n",
    )

    outcome, detail = world.run()

    assert outcome == "failed"
    assert detail.startswith("exit status 1\n") and detail.endswith("the end")
    assert len(detail) < 2200
    log = world.log()
    assert len(log) < 128 * 1024
    assert log.endswith(b"bytes left out]\n")


def test_of_all_output_only_the_end_is_kept():
    output = Output()
    for _ in range(10):
        output.add(b"x" * TAIL + b"\n")
    output.add(b"the end")

    assert len(output.tail) == TAIL
    assert output.tail.endswith(b"\nthe end")


def test_output_need_not_be_text(world):
    world.write("scripts/start.sh", b"printf '\\377\\000caf\\303\\251\\n'\nexit 1\n")

    assert world.run() == ("failed", "exit status 1\n\ufffd\x00café")


def test_logs_that_nobody_asks_for_are_bounded(world):
    world.write("scripts/check.sh", "echo well\n")
    for _ in range(270):
        assert world.run("check")[0] == "done"

    assert 1 <= len(world.runner.logs()) <= 256


# Which file is run, and by what


@pytest.mark.parametrize(
    ("files", "step", "runs"),
    [
        (["start.sh", "start.py", "start-all.sh"], "start", "start.sh"),
        (["start-all.sh", "start.py"], "start", "start.py"),
        (["stop-all.sh", "stop-zoo.sh"], "stop", "stop-all.sh"),
        (["stop.py~", ".stop.sh", "stop.conf.mustache"], "stop", None),
        (["checksum.sh"], "check", None),
        (["check.py"], "check", "check.py"),
    ],
    ids=["name.sh first", "exact stem", "by beginning", "no backups", "check is exact", "check"],
)
def test_script_lookup(world, files, step, runs):
    for name in files:
        text = f"print({name!r})\n" if name.endswith(".py") else f"echo {name}\n"
        world.write("scripts/" + name, text)

    # update, unlike start, renders no template
    outcome, _ = world.run(step, installer="script")

    assert outcome == ("done" if runs else "absent")
    assert world.log().decode().strip() == (runs or "")


def test_the_first_line_names_the_interpreter_without_a_run_bit(world):
    world.write("scripts/start.anything", "#!/usr/bin/env python3\nprint('python')\n")

    assert world.run() == ("done", "")
    assert world.log() == b"python\n"


def test_a_file_with_a_run_bit_is_run_as_it_is(world):
    with open("/bin/true", "rb") as program:
        world.write("scripts/start", program.read(), 0o755)

    assert world.run() == ("done", "")


def test_a_file_that_cannot_be_run_says_why(world):
    world.write("scripts/start.rb", "puts 1\n")

    outcome, detail = world.run()

    assert outcome == "failed"
    assert detail.startswith("cannot run scripts/start.rb: it has no run bit")


def test_a_missing_interpreter_is_named(world):
    world.write("scripts/start", "#!/opt/none/ruby\n")

    outcome, detail = world.run()

    assert outcome == "failed"
    assert "there is no /opt/none/ruby on this machine" in detail


def test_windows_line_ends_are_explained(world):
    world.write("scripts/start.sh", "#!/bin/sh\r\necho hello\r\n")

    outcome, detail = world.run()

    assert outcome == "failed"
    assert "scripts/start.sh" in detail and "Windows" in detail


def test_the_script_runs_in_its_folder(world):
    world.write("scripts/start.sh", "cat words\n")
    world.write("scripts/words", "beside me")

    assert world.run() == ("done", "")
    assert world.log() == b"beside me"


# What a script is told


def told(world, step="start", **changes):
    world.write(f"scripts/{step}.py", "import json, os\nprint(json.dumps(dict(os.environ)))\n")
    assert world.run(step, **changes) == ("done", "")
    return json.loads(world.log())


def test_environment_holds_the_step_and_little_else(world, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "x")
    monkeypatch.setenv("LANG", "C.UTF-8")

    env = told(world)

    assert env["port"] == "10000"
    assert env["ANCESTOR_VM_ip"] == "10.0.0.7"
    assert env["Data_size"] == "0"
    assert env["FIELDCONF_PYTHON"] == sys.executable
    assert env["FIELDCONF_DATA_DIR"] == world.runner.data_dir("/vm1/web")
    assert env["LANG"] == "C.UTF-8"
    assert "SECRET_OF_THE_AGENT" not in env


def test_a_value_too_long_for_the_system_is_a_failure_in_words(world):
    world.write("scripts/start.sh", "true\n")

    outcome, detail = world.run(exports={"big": "x" * 1_000_000})

    assert outcome == "failed"
    assert "1000000 in big" in detail


def test_a_value_with_a_null_is_a_failure(world):
    world.write("scripts/start.sh", "true\n")

    assert world.run(exports={"bad": "a\0b"})[0] == "failed"


def test_very_many_changes_come_in_a_file(world):
    added = {"Data": [[f"/vm{i}/data", {"port": str(i)}] for i in range(6000)]}
    changed = {"added": added, "removed": {}, "changed": {}}

    env = told(world, "update", changed=changed)

    assert env["FIELDCONF_CHANGED"].startswith("@")
    with open(env["FIELDCONF_CHANGED"][1:]) as file:
        assert json.load(file) == changed


def test_templates_are_rendered_before_the_script_runs(world):
    world.write("list.mustache", "{{#Data}}{{path}}{{/Data}}")
    world.write("scripts/update.sh", 'cat "$FIELDCONF_RENDERED_DIR/list"\n')

    assert world.run("update", imports={"Data": [["/vm2/data", {}]]}) == ("done", "")
    assert world.log() == b"/vm2/data"


def test_a_template_that_is_not_well_formed_is_a_failure_in_words(world):
    world.write("list.mustache", "{{#Data}}")
    world.write("scripts/start.sh", "true\n")

    outcome, detail = world.run()

    assert outcome == "failed"
    assert detail.startswith("cannot render list.mustache: ")
    assert "section Data is not closed" in detail


@pytest.mark.parametrize("step", ["deploy", "stop"])
def test_a_script_may_be_a_template(world, step):
    world.write("roboconf-templates/stop.template", "echo stop {{FIELDCONF_INSTANCE_NAME}}\n")
    world.write("roboconf-templates/default.template", "#!/bin/sh\necho other {{port}}\n")

    assert world.run(step) == ("done", "")
    assert world.log() == {"deploy": b"other 10000\n", "stop": b"stop web\n"}[step]
    assert list((world.data_root / "vm1+web").iterdir()) == []


def test_the_default_template_is_for_roboconfs_steps_only(world):
    world.write("roboconf-templates/default.template", "true\n")

    assert world.run("check") == ("absent", "")


def test_folders_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world = World(Path())
    world.write("scripts/start.sh", 'touch "$FIELDCONF_DATA_DIR/here"\n')
    world.write("recipe.py", "def start(i):\n    open(i.data_dir + '/there', 'w').close()\n")
    try:
        assert world.run() == ("done", "")
        assert world.run(installer="python") == ("done", "")
    finally:
        world.runner.close()

    assert {each.name for each in (tmp_path / "data/vm1+web").iterdir()} == {"here", "there"}


# Python recipes


def test_a_python_recipe_is_called_with_the_instance(world):
    world.write(
        "recipe.py",
        "import os, helper\n"
        "def update(instance):\n"
        "    instance.log(helper.WORD)\n"
        "    for path, values in instance.imports['Data']:\n"
        "        print(path, values['port'], instance.changed['added'] == instance.imports)\n"
        "    print(os.getcwd() == instance.recipe_dir, os.path.isdir(instance.data_dir))\n",
    )
    world.write("helper.py", "WORD = 'beside'\n")
    imports = {"Data": [["/vm2/data", {"port": "7"}]]}

    outcome = world.run(
        "update",
        installer="python",
        imports=imports,
        changed={"added": imports, "removed": {}, "changed": {}},
    )

    assert outcome == ("done", "")
    assert world.log() == b"beside\n/vm2/data 7 True\nTrue True\n"
    assert not (world.recipe / "__pycache__").exists()


def test_a_python_step_without_function_is_absent(world):
    world.write("recipe.py", "def start(instance):\n    pass\n")

    assert world.run("start", installer="python") == ("done", "")
    assert world.run("stop", installer="python") == ("absent", "")


def test_an_async_step_runs_to_its_end(world):
    world.write(
        "recipe.py",
        "import asyncio\nasync def start(i):\n    await asyncio.sleep(0.01)\n    i.log('slept')\n",
    )

    assert world.run(installer="python") == ("done", "")
    assert world.log() == b"slept\n"


def test_an_exception_shows_the_recipes_lines(world):
    world.write("recipe.py", "def start(instance):\n    raise KeyError('no port')\n")

    outcome, detail = world.run(installer="python")

    assert outcome == "failed"
    assert "recipe.py" in detail and "line 2" in detail
    assert detail.endswith("KeyError: 'no port'")
    assert "python_step.py" not in detail


@pytest.mark.parametrize("code", ["100", "'words'", "7"])
def test_sys_exit_is_a_failure_and_not_an_absence(world, code):
    world.write("recipe.py", f"import sys\ndef start(instance):\n    sys.exit({code})\n")

    outcome, detail = world.run(installer="python")

    assert outcome == "failed"
    assert f"sys.exit({code})" in detail


def test_a_python_recipe_takes_values_of_any_length(world):
    world.write("recipe.py", "def start(instance):\n    print(len(instance.exports['big']))\n")

    assert world.run(installer="python", exports={"big": "x" * 1_000_000}) == ("done", "")
    assert world.log() == b"1000000\n"


# Data folders


def test_the_data_folder_stays_until_it_is_forgotten(world):
    world.write("scripts/start.sh", 'touch "$FIELDCONF_DATA_DIR/kept"\n')
    world.write("scripts/stop.sh", 'test -e "$FIELDCONF_DATA_DIR/kept"\n')

    assert world.run("start") == ("done", "")
    assert world.run("stop") == ("done", "")
    world.runner.forget("/vm1/web")
    assert world.run("stop")[0] == "failed"
    world.runner.forget("/nobody")


def test_a_full_disk_or_a_file_in_the_way_is_a_failure(world):
    world.write("scripts/start.sh", "true\n")
    world.data_root.write_text("in the way")

    outcome, detail = world.run()

    assert outcome == "failed"
    assert "data" in detail


def test_no_file_stays_open_and_none_is_closed_twice(tmp_path):
    world = World(tmp_path)
    world.write("scripts/start.sh", 'sleep 600 &\necho $! > "$FIELDCONF_DATA_DIR/pid"\n')
    world.write("scripts/check.sh", "true\n")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert world.run("check") == ("done", "")
    assert len(os.listdir("/proc/self/fd")) == before

    assert world.run("start") == ("done", "")
    world.runner.close()
    # Whoever opens a file now gets a number that was ours.
    files = [open(os.devnull, "rb") for _ in range(20)]
    del world.runner
    gc.collect()
    try:
        assert [file.read() for file in files] == [b""] * 20
    finally:
        os.kill(pid_in(world.data_root / "vm1+web" / "pid"), signal.SIGKILL)
        for file in files:
            file.close()
