"""Faults on a real box: what a user is told, what goes on, and that it heals."""

import json
import os
import signal
import subprocess

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_microagent import states
from support.box import Box
from support.brokers import need_mosquitto
from support.commands import begin, fieldconf, processes_below
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def make_box(tmp_path):
    """Make boxes that are taken apart afterwards; `folder` is below tmp_path."""
    made = []

    def make(*options, folder=tmp_path):
        box = Box(folder, *options)
        made.append(box)
        return box

    yield make
    for box in made:
        box.close()
        until(lambda: processes_below(box.data) == [], 60)  # noqa: B023


@pytest.fixture
def box(make_box):
    return make_box().up()


def script(box, component, step, text):
    file = box.folder / f"template/graph/{component}/scripts/{step}.sh"
    file.write_text(f'#!/bin/sh\necho "$FIELDCONF_INSTANCE_PATH {step}" >> {box.diary}\n{text}\n')


def problem(box, path):
    """Return (code, text) of an instance's problem as ``fieldconf status --json`` shows it."""
    status, out, err = fieldconf(box.data, "status", "--json")
    assert status == 0, err
    (app,) = json.loads(out)["applications"]
    (found,) = [one["problem"] for one in app["instances"] if one["path"] == path]
    return (found["code"], found["text"]) if found else None


# -- templates


def test_template_with_errors_is_refused_whole_and_what_runs_is_left_alone(box):
    box.deploy()
    box.until_state("/web-vm/web", states.STARTED)
    before = box.instances(), box.diary.read_text()
    graph = box.template() / "graph/shop.graph"
    graph.write_text(
        graph.read_text()
        .replace("exports: ip, port = 5432;", "exports: ip, port = 5432")
        .replace("imports: Data.ip", "imports: Data.ip, 3x.y")
        + "Left {\n    colour: blue;\n}\n"
    )

    status, out, err = fieldconf(box.data, "deploy", graph.parents[1])

    assert status == 1
    for place in ("graph/shop.graph:8:", "graph/shop.graph:12:", "graph/shop.graph:15:"):
        assert place in err
    assert "    imports: Data.ip, 3x.y, Data.port;\n" in err
    assert "^" in err
    assert "Traceback" not in out + err
    assert (box.instances(), box.diary.read_text()) == before


# -- scripts


def test_failing_script_is_shown_and_retried_and_heals_with_a_new_template(box):
    template = box.template()
    script(box, "Web", "start", "echo the disk is upside down >&2\nexit 3")
    status, _, err = fieldconf(box.data, "deploy", template, "--no-wait")
    assert status == 0, err
    until(lambda: problem(box, "/web-vm/web"), 60, 0.2)
    code, text = problem(box, "/web-vm/web")
    assert code == "failed"
    assert "start: exit status 3" in text
    assert "the disk is upside down" in text
    assert box.state("/web-vm/web") == states.STOPPED
    box.until_state("/data-vm/data", states.STARTED)
    assert "exit status 3" in fieldconf(box.data, "status")[1]
    until(lambda: box.entries("/web-vm/web").count("start") >= 3, 60)

    box.template()
    status, _, err = fieldconf(box.data, "deploy", template)

    assert status == 0, err
    assert box.state("/web-vm/web") == states.STARTED
    assert problem(box, "/web-vm/web") is None


def test_retry_begins_at_once_what_failed(box):
    template = box.template()
    script(box, "Web", "start", f"test -e {box.folder}/mended")
    fieldconf(box.data, "deploy", template, "--no-wait")
    until(lambda: box.entries("/web-vm/web").count("start") >= 3, 60)
    (box.folder / "mended").touch()

    status, _, err = fieldconf(box.data, "retry", "/web-vm/web")

    assert status == 0, err
    box.until_state("/web-vm/web", states.STARTED)


def test_script_that_takes_too_long_is_ended_and_told(box):
    template = box.template()
    descriptor = template / "descriptor/application.properties"
    descriptor.write_text(descriptor.read_text() + "Web.timeout = 500ms\n")
    script(box, "Web", "start", "echo still at it\nsleep 1000")
    fieldconf(box.data, "deploy", template, "--no-wait")
    until(lambda: problem(box, "/web-vm/web"), 60, 0.2)
    code, text = problem(box, "/web-vm/web")

    assert code == "timeout"
    assert "not finished after 0.5 s" in text
    assert "still at it" in text


def test_recipe_without_scripts_and_script_without_interpreter(box):
    """No script means that there is nothing to do; one that cannot run is a failed step."""
    template = box.template()
    for step in (template / "graph/Data/scripts").iterdir():
        step.unlink()
    start = template / "graph/Web/scripts/start.sh"
    start.unlink()
    start = start.with_name("start")
    start.write_text("#!/no/such/interpreter\n")
    start.chmod(0o755)
    fieldconf(box.data, "deploy", template, "--no-wait")
    until(lambda: problem(box, "/web-vm/web"), 60, 0.2)

    assert box.state("/data-vm/data") == states.STARTED
    code, text = problem(box, "/web-vm/web")
    assert code == "failed"
    assert "scripts/start" in text


def test_script_that_prints_without_end_fills_nothing(box):
    template = box.template()
    script(
        box,
        "Web",
        "start",
        "head -c 100000000 /dev/zero | tr '\\0' x\nprintf '\\n\\377\\376 not utf-8\\n'\nexit 4",
    )
    fieldconf(box.data, "deploy", template, "--no-wait")
    until(lambda: problem(box, "/web-vm/web"), 90, 0.2)
    _, text = problem(box, "/web-vm/web")

    assert "exit status 4" in text
    assert "not utf-8" in text
    assert len(text) < 10_000
    status, out, err = fieldconf(box.data, "logs", "/web-vm/web")
    assert status == 0, err
    assert len(out) < 1_000_000
    written = sum(file.stat().st_size for file in box.data.rglob("*") if file.is_file())
    assert written < 10_000_000


# -- the broker


def test_broker_that_is_not_there_at_start_is_waited_for(make_box, tmp_path):
    broker = EmbeddedBroker(tmp_path / "broker")  # has its port, but does not run
    box = make_box("--broker", broker.url).up()
    box.deploy()
    until(lambda: box.log().count("no broker at " + broker.url) >= 2, 60)
    status, out, _ = fieldconf(box.data, "status")
    assert status == 0
    assert "no connection to the broker " + broker.url in out

    broker.start()
    try:
        box.until_state("/web-vm/web", states.STARTED)
        broker.stop()
        until(lambda: not box.ask("status")["broker"]["connected"], 60)
        broker.start()
        box.wish("/data-vm/data", states.STOPPED)
        box.until_state("/web-vm/web", states.UNRESOLVED)
    finally:
        box.close()
        broker.stop()
    assert "Traceback" not in box.log()


# -- who may run


def test_second_coordinator_on_a_folder_refuses_and_names_the_first(box):
    status, out, err = fieldconf(box.data, "up")

    assert status == 2
    assert f"process {box.process.pid}" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("option", [None, "--mosquitto"])
def test_coordinator_ends_cleanly_whenever_it_is_told_to(tmp_path, number, option):
    """At moments spread over its start, and twice in a row."""
    if option:
        need_mosquitto()
    options = [option] if option else []
    for line in (None, "coordinator of fleet", "connected to the broker"):
        process = begin(tmp_path, "up", *options)
        try:
            if line is None:
                until(lambda: (tmp_path / "fleet.lock").exists(), 60, 0.001)
            for said in process.stdout if line else ():
                if line in said:
                    break
            process.send_signal(number)
            process.send_signal(number)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in rest
        assert process.returncode in (0, 128 + number), rest
        until(lambda: processes_below(tmp_path) == [], 60)
        (tmp_path / "fleet.lock").unlink()


def agent_folder(tmp_path, url):
    settings = {"node": "n1", "key": "00" * 32, "broker": url, "reconnect": 100}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return tmp_path


def test_agent_alone_waits_for_its_broker_and_ends_cleanly(tmp_path):
    broker = EmbeddedBroker(tmp_path / "broker")
    for moment in (None, "no broker", "no broker"):
        process = begin(tmp_path, "agent", "--dir", agent_folder(tmp_path, broker.url))
        try:
            if moment is None:
                until(lambda: (tmp_path / "agent.pid").exists(), 60, 0.001)
            for said in process.stdout if moment else ():
                if moment in said:
                    assert "next attempt in" in said
                    break
            process.send_signal(signal.SIGTERM if moment else signal.SIGINT)
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in rest
        assert process.returncode == 0, rest
        (tmp_path / "agent.pid").unlink()


# -- a full disk


@pytest.fixture(params=["embedded", "mosquitto"])
def small_disk(request, make_box, tmp_path):
    """A box whose data folder is a disk of its own, of a few megabytes."""
    options = []
    if request.param == "mosquitto":
        need_mosquitto()
        options = ["--mosquitto"]
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(data)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a disk: {done.stderr.strip()}")
    box = make_box(*options)
    try:
        yield box
    finally:
        box.close()
        until(lambda: processes_below(box.data) == [], 60)
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def fill(box):
    """Leave no room on the disk; return the file to delete."""
    file = box.data / "filler"
    with file.open("wb", buffering=0) as out:
        for size in (65536, 4096, 1):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return file


def test_full_disk_is_told_and_all_goes_on_when_there_is_room(small_disk):
    box = small_disk.up()
    template = box.template()
    assert fieldconf(box.data, "deploy", template)[0] == 0
    before = box.instances()
    filler = fill(box)

    status, _, err = fieldconf(box.data, "scale", "/web-vm", "40")
    assert status == 1
    assert "disk" in err and "full" in err and "hint:" in err
    status, _, err = fieldconf(box.data, "deploy", box.template(ballast=100_000))
    assert status == 1
    assert "No space left on device" in err
    until(lambda: box.instances() == before, 60, 0.1)
    assert "nothing can be changed: " in fieldconf(box.data, "status")[1]
    assert "Traceback" not in box.log()

    filler.unlink()
    status, _, err = fieldconf(box.data, "stop", "/data-vm/data")
    assert status == 0, err
    assert box.state("/web-vm/web") == states.UNRESOLVED


def test_node_whose_disk_is_full_goes_on_when_there_is_room(small_disk):
    box = small_disk.up()
    assert fieldconf(box.data, "deploy", box.template())[0] == 0
    pid = box.agent_pid("/web-vm/web")
    filler = fill(box)
    os.kill(pid, signal.SIGKILL)
    until(lambda: "nothing can be changed: " in fieldconf(box.data, "status")[1], 60, 0.2)
    assert box.state("/data-vm/data") == states.STARTED

    filler.unlink()
    until(lambda: box.agent_pid("/web-vm/web") != pid, 90)
    until(lambda: problem(box, "/web-vm") is None, 60, 0.2)
    assert fieldconf(box.data, "stop", "/data-vm/data")[0] == 0
    assert box.state("/web-vm/web") == states.UNRESOLVED
    assert box.entries("/web-vm/web") == ["deploy", "start 5432", "stop"]


def test_coordinator_on_a_full_disk_says_so_and_starts_when_there_is_room(small_disk):
    filler = fill(small_disk)
    status, out, err = fieldconf(small_disk.data, "up", *small_disk.options, timeout_s=30)
    assert status == 2
    assert "error: " in err and ("full" in err or "No space left" in err)
    assert "Traceback" not in out + err
    filler.unlink()

    box = small_disk.up()
    assert fieldconf(box.data, "deploy", box.template())[0] == 0
