"""The command line: what it prints, what it refuses, with which exit status."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest

from fieldconf_coordinator.cli import common, show, waiting
from fieldconf_coordinator.cli import main as cli
from fieldconf_targets.api import TargetError
from fieldconf_targets.memory import MemoryTarget
from support.commands import command, environment, fieldconf
from support.coordinators import coordinator
from support.templates import SHOP, write
from support.waiting import until

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in this process; return exit status, output and error output."""
    monkeypatch.setenv("FIELDCONF_DATA", str(tmp_path / "data"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fieldconf", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    return run


@pytest.fixture
def shop(tmp_path):
    """A coordinator with a started application ``shop``."""
    with coordinator(tmp_path / "data", serves=True) as running:
        running.deploy(WEB_CLUSTER, name="shop")
        yield running


@pytest.fixture
def broken(tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(WEB_CLUSTER, folder)
    graph = folder / "graph" / "main.graph"
    graph.write_text(graph.read_text().replace("installer: target;", "installer: target"))
    return folder


# -- help


@pytest.mark.parametrize("name", sorted(cli.group.commands))
def test_every_command_explains_itself_with_an_example(run, name):
    status, out, _ = run(name, "--help")

    assert status == 0
    assert f"fieldconf {name}" in out.partition("Examples:")[2]
    assert max(len(line) for line in out.splitlines()) <= 80


def test_mistyped_command_is_refused_with_the_usage(run):
    status, _, err = run("deplyo")

    assert status == 2
    assert "No such command 'deplyo'" in err


# -- check and fmt


def test_check_finds_nothing_in_the_example(run):
    status, out, err = run("check", WEB_CLUSTER)

    assert (status, out, err) == (0, "0 severe, 0 warnings\n", "")


def test_check_shows_the_line_and_exits_with_1(run, broken):
    status, out, _ = run("check", broken)

    assert status == 1
    assert "graph/main.graph:5:20: P_PROPERTY_ENDS_WITH_SEMI_COLON" in out
    assert "installer: target\n" in out


def test_check_prints_one_array_for_programs(run, broken):
    status, out, _ = run("check", "--json", broken)

    assert status == 1
    keys = {"code", "severity", "file", "line", "column", "message"}
    assert [set(problem) for problem in json.loads(out)] == [keys]


def test_check_that_could_not_run_exits_with_2(run, tmp_path):
    status, out, err = run("check", "--json", tmp_path / "nowhere")

    assert status == 2
    assert json.loads(out) == []
    assert "nowhere" in err


@pytest.mark.parametrize(
    ("before", "after", "status", "said"),
    [
        ("lost-after = 2s", "lost-after = soon", 1, "severe: descriptor: FC_BAD_SETTING: lost-aft"),
        ("check.every", "chek.every", 0, "the setting 'chek.every' (did you mean 'check.every'?)"),
        ("check.every", "Wep.check.every", 0, "(did you mean 'Web.check.every'?)"),
        ("check.every", "colour.of.the.box", 0, ""),
        ("installer: script", "installer: scripts", 0, "installer 'scripts' (did you mean 'script"),
        (
            "name: lb;",
            "name: lb;\n    data.timeout: never;",
            1,
            "severe: /lb-vm/lb: FC_BAD_SETTING",
        ),
    ],
)
def test_check_knows_what_coordinator_and_agents_understand(
    run, tmp_path, before, after, status, said
):
    shutil.copytree(WEB_CLUSTER, tmp_path / "t")
    for file in [
        p for d in ("descriptor", "graph", "instances") for p in (tmp_path / "t" / d).glob("*.*")
    ]:
        file.write_text(file.read_text().replace(before, after))

    found, out, _ = run("check", tmp_path / "t")

    assert found == status
    assert said in out if said else out == "0 severe, 0 warnings\n"


def test_fmt_tells_then_rewrites_then_has_nothing_to_do(run, tmp_path):
    graph = tmp_path / "a.graph"
    graph.write_text("VM {\n  installer:target;\n}\n")

    assert run("fmt", "--check", graph)[:2] == (1, f"would rewrite {graph}\n")
    assert run("fmt", graph)[:2] == (0, f"rewrote {graph}\n")
    assert run("fmt", "--check", graph)[:2] == (0, "")


def test_fmt_tells_what_it_formats(run, tmp_path):
    other = tmp_path / "application.properties"
    other.write_text("name=shop\n")

    status, _, err = run("fmt", other)

    assert status == 2
    assert (
        err == f"error: cannot format {other}: only .graph and .instances files have such a form\n"
    )
    assert other.read_text() == "name=shop\n"


def test_fmt_tells_programs_what_differs(run, tmp_path):
    (tmp_path / "a.graph").write_text("VM {\n  installer: target;\n}\n")
    (tmp_path / "b.graph").write_text("VM{\n}\n")

    status, out, _ = run("fmt", "--check", "--json", tmp_path)

    assert status == 1
    assert json.loads(out) == [
        {"file": str(tmp_path / "a.graph"), "differs": False},
        {"file": str(tmp_path / "b.graph"), "differs": True},
    ]


def test_fmt_of_what_is_not_there_says_so(run, tmp_path):
    for name in ("a.graph", "b"):
        status, _, err = run("fmt", tmp_path / name)

        assert (status, err) == (
            2,
            f"error: cannot format {tmp_path / name}: No such file or directory\n",
        )


def test_fmt_leaves_links_links(run, tmp_path):
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / "b.graph"
    real.write_text("VM{\n}\n")
    (tmp_path / "a.graph").symlink_to(real)

    assert run("fmt", tmp_path / "a.graph")[0] == 0
    assert (tmp_path / "a.graph").is_symlink()
    assert real.read_text() == "VM {\n}\n"


def test_fmt_rewrites_nothing_that_it_cannot_read(run, broken):
    before = (broken / "graph" / "main.graph").read_text()

    status, _, err = run("fmt", broken / "graph" / "main.graph")

    assert status == 1
    assert "nothing was rewritten" in err
    assert (broken / "graph" / "main.graph").read_text() == before


def test_output_that_finds_no_room_is_told_in_words(tmp_path):
    for arguments in (["check", "--json", WEB_CLUSTER], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
            )

        assert done.returncode == 2
        assert (
            done.stderr == "error: cannot write: No space left on device; make room on the disk\n"
        )


def test_ctrl_c_while_it_is_loaded_ends_it_in_silence():
    cut = (
        "import sys\n"
        "class Cut:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'fieldconf_coordinator.cli.applications': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Cut())\n"
    )
    python, option, boot, *rest = command("--version")

    done = subprocess.run([python, option, cut + boot, *rest], capture_output=True, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


# -- without a coordinator


def test_without_a_coordinator_it_says_what_to_do(run):
    status, _, err = run("status")

    assert status == 2
    assert "error: no coordinator runs on" in err
    assert "hint: start one with 'fieldconf up'" in err


def test_broker_and_mosquitto_exclude_each_other(run):
    status, _, err = run("up", "--mosquitto", "--broker", "mqtt://gateway")

    assert status == 2
    assert "exclude each other" in err


def test_broker_that_is_none_is_refused(run):
    status, _, err = run("up", "--broker", "gateway")

    assert status == 2
    assert "cannot use the broker gateway" in err


# -- with one


def test_status_is_a_table_that_fits_80_columns(run, shop):
    status, out, _ = run("status")

    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "shop (web-cluster 1.0)"
    assert lines[1].split() == ["instance", "state", "address"]
    assert [line.split()[:2] for line in lines[2:4]] == [
        ["/data-vm", "deployed-started"],
        ["/data-vm/data", "deployed-started"],
    ]
    assert max(map(len, lines)) <= 80


def test_status_for_programs_holds_everything(run, shop):
    status, out, _ = run("status", "shop", "--json")

    told = json.loads(out)
    assert status == 0
    assert [app["name"] for app in told["applications"]] == ["shop"]
    assert told["broker"]["connected"] is True


def test_deploy_waits_and_tells_what_happens(run, shop):
    status, out, _ = run("deploy", WEB_CLUSTER, "--name", "second")

    assert status == 0
    assert "8/8  done" in out
    assert set(shop.states("second").values()) == {"deployed-started"}


def test_deploy_takes_a_zip(run, shop, tmp_path):
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for file in WEB_CLUSTER.rglob("*"):
            if "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(WEB_CLUSTER))

    assert run("deploy", tmp_path / "shop.zip", "--name", "zipped")[0] == 0


def test_accents_of_a_name_are_left_out(run, shop):
    assert run("deploy", WEB_CLUSTER, "--name", "Café d été")[0] == 0
    assert run("deploy", WEB_CLUSTER, "--name", "Café d été")[0] == 0

    assert set(shop.states("Cafe d ete").values()) == {"deployed-started"}
    assert run("undeploy", "--app", "Café d été")[0] == 0
    assert run("delete", "Café d été")[0] == 0


def test_deploy_of_a_broken_template_shows_every_error(run, shop, broken):
    status, _, err = run("deploy", broken)

    assert status == 1
    assert "severe: graph/main.graph:5:20: P_PROPERTY_ENDS_WITH_SEMI_COLON" in err
    assert f"error: cannot deploy {broken}" in err


def test_deploy_on_a_target_that_does_not_exist_is_refused_whole(run, shop, tmp_path):
    placed = tmp_path / "placed"
    shutil.copytree(WEB_CLUSTER, placed)
    instances = placed / "instances" / "main.instances"
    instances.write_text(
        instances.read_text().replace("name: lb-vm;", "name: lb-vm;\n  data.target: moon;")
    )

    for arguments in [(WEB_CLUSTER, "--target", "moon"), (placed,)]:
        status, _, err = run("deploy", *arguments, "--name", "second")

        assert status == 1
        assert "error: there is no target 'moon'\nhint: known are: " in err
    assert "second" not in run("status")[1]


def test_stop_and_start_one_instance(run, shop):
    assert run("stop", "/data-vm/data")[0] == 0
    until(lambda: shop.states("shop")["/web-vm1/web"] == "unresolved")

    status, out, _ = run("why", "/lb-vm/lb")
    assert status == 0
    assert out.splitlines()[-1].strip() == "/data-vm/data is wished deployed-stopped"
    assert "waits for Data" in run("status")[1]

    assert run("start", "/data-vm/data")[0] == 0
    until(lambda: shop.states("shop")["/web-vm1/web"] == "deployed-started")
    assert run("why", "/lb-vm/lb")[1] == "/lb-vm/lb is as it is wished to be\n"


def test_start_of_what_is_kept_back_says_by_what(run, shop):
    assert run("stop", "/lb-vm")[0] == 0

    status, out, err = run("start", "/lb-vm/lb")

    assert status == 1
    assert "/lb-vm/lb: waiting-for-ancestor" in out
    assert "waiting  /lb-vm is wished deployed-stopped" in err
    assert run("start", "/lb-vm")[0] == 0
    assert run("start", "/lb-vm/lb")[::2] == (0, "")


def test_answer_for_programs_comes_when_it_is_done(run, shop):
    status, out, err = run("scale", "/web-vm", 3, "--json")

    assert status == 0
    answer = json.loads(out)
    assert answer["outcome"] == "done"
    assert {step["path"]: step["state"] for step in answer["steps"]} == {
        "/web-vm3": "deployed-started",
        "/web-vm3/web": "deployed-started",
    }
    assert "2/2  done" in err
    assert "outcome" not in json.loads(run("scale", "/web-vm", 2, "--json", "--no-wait")[1])


def test_scale_up_and_down_and_remove(run, shop):
    assert run("scale", "/web-vm", 4)[0] == 0
    assert "/web-vm4/web" in shop.states("shop")

    assert run("scale", "/web-vm", 2)[0] == 0
    until(lambda: "/web-vm4" not in shop.states("shop"))

    assert run("remove", "/web-vm2")[0] == 0
    until(lambda: "/web-vm2" not in shop.states("shop"))


def test_undeploy_and_delete(run, shop):
    assert run("delete", "shop")[0] == 1
    assert run("undeploy")[0] == 0
    assert run("delete", "shop")[:2] == (0, "shop is forgotten\n")
    assert "no applications" in run("status")[1]


def test_application_has_to_be_named_when_there_are_several(run, shop):
    shop.deploy(WEB_CLUSTER, name="second")

    status, _, err = run("stop", "/data-vm/data")

    assert status == 1
    assert "say --app with one of second, shop" in err
    assert run("stop", "/data-vm/data", "--app", "second")[0] == 0
    assert shop.states("shop")["/data-vm/data"] == "deployed-started"


@pytest.mark.parametrize(
    "arguments",
    [("why", "/x"), ("stop", "/x"), ("logs", "/x"), ("retry", "/x"), ("status", "nobody")],
    ids=lambda arguments: arguments[0],
)
def test_what_is_not_there_is_refused_with_a_hint(run, shop, arguments):
    status, _, err = run(*arguments)

    assert status == 1
    assert "error: there is no" in err
    assert "hint: " in err


@pytest.mark.parametrize("command", ["why", "stop", "retry", "remove", "logs"])
def test_a_path_that_is_nearly_right_is_told_which_was_meant(run, shop, command):
    assert "(did you mean '/lb-vm/lb'?)" in run(command, "/lb-vm/ld")[2]


def test_a_folder_that_is_nearly_right_is_told_which_was_meant(run, shop, tmp_path):
    folder = shutil.copytree(WEB_CLUSTER, tmp_path / "cluster")

    assert "(did you mean 'cluster'?)" in run("check", tmp_path / "clustre")[2]
    assert "(did you mean 'cluster'?)" in run("deploy", tmp_path / "clustre")[2]
    inside = f"(did you mean {os.path.relpath(folder)}?)"
    assert inside in run("check", folder / "graph")[2]
    assert inside in run("deploy", folder / "graph")[2]
    assert inside in run("check", folder.parent)[2]
    assert inside in run("deploy", folder.parent)[2]
    assert "only what was named was looked at" in run("check", folder / "graph/main.graph")[2]
    assert run("check", folder)[2] == ""


def test_waiting_ends_with_the_time_limit(run, shop, monkeypatch):
    def fails(target, order):
        raise TargetError("no machine is free")

    monkeypatch.setattr(MemoryTarget, "create", fails)

    status, out, err = run("scale", "/web-vm", 3, "--timeout", "0.5")

    assert status == 1
    assert "/web-vm3: deploying; failed: cannot create the node: no machine is free" in out
    assert "not done in time" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("deploy", WEB_CLUSTER, "--name", "other"),
        ("stop", "/lb-vm/lb"),
        ("scale", "/web-vm", 3),
        ("why", "/lb-vm/lb"),
        ("logs",),
        ("events",),
        ("retry", "/lb-vm/lb"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_answers_for_programs_are_json(run, shop, arguments):
    status, out, _ = run(*arguments, "--json")

    assert status == 0
    json.loads(out)


def test_events_tell_what_was_done(run, shop):
    assert "shop: deploy web-cluster 1.0: done" in run("events")[1]


def test_an_application_is_named_by_its_name_or_with_app(run, shop):
    shop.service.outputs.add(
        shop.instance("shop", "/lb-vm")["node"], "/lb-vm/lb", "start", b"hello\n"
    )
    shop.deploy(WEB_CLUSTER, name="second")

    assert "/lb-vm/lb start: hello" in run("logs", "shop")[1]
    assert "second: deploy" in run("events", "second")[1]
    assert run("status", "--app", "second")[1] == run("status", "second")[1]
    assert run("status", "shop", "--app", "second")[0] == 2


def test_output_of_scripts_is_shown(run, shop):
    node = shop.instance("shop", "/lb-vm")["node"]
    shop.service.outputs.add(
        node,
        "/lb-vm/lb",
        "start",
        b"listens\n/d/recipes/%s/scripts/start.sh: 2: no\n" % (b"0a" * 32),
    )

    lines = run("logs", "/lb-vm/lb")[1].splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "start: listens",
        "start: scripts/start.sh: 2: no",
    ]
    assert re.fullmatch(r"\d\d:\d\d:\d\d", lines[0].partition(" ")[0])
    assert run("logs")[1].splitlines()[0].endswith(" /lb-vm/lb start: listens")


def test_watch_shows_every_change_until_it_is_interrupted(shop, tmp_path):
    watch = subprocess.Popen(
        command("status", "--watch"),
        env=environment(tmp_path / "data"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout.readline() == "shop (web-cluster 1.0)\n"
    shop.ask("wish", app="shop", path="/lb-vm/lb", wish="deployed-stopped")

    for line in watch.stdout:
        if "/lb-vm/lb" in line and "deployed-stopped" in line:
            break
    watch.send_signal(2)

    assert watch.wait() == 130
    watch.stdout.close()


def test_watch_waits_for_the_next_coordinator(tmp_path):
    watch = None
    try:
        with coordinator(tmp_path / "data", serves=True):
            watch = subprocess.Popen(
                command("status", "--watch"),
                env=environment(tmp_path / "data"),
                stdout=subprocess.PIPE,
                text=True,
            )
            assert watch.stdout.readline().startswith("no applications")
        assert "waiting for the next one" in watch.stdout.readline()
        with coordinator(tmp_path / "data", serves=True):
            assert watch.stdout.readline().startswith("no applications")
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def test_second_coordinator_on_a_folder_refuses(shop, tmp_path):
    status, _, err = fieldconf(tmp_path / "data", "up")

    assert status == 2
    assert "another coordinator (process" in err


# -- tables


def test_long_notes_are_cut_at_80_columns():
    rows = [("/a", "unresolved", "", "failed: " + "x" * 100)]

    table = common.table(("instance", "state", "address", ""), rows)
    lines = click.unstyle(table).splitlines()

    assert len(lines[1]) == 80
    assert lines[1].endswith("x…")


def test_status_of_a_path_says_which_commands_take_one(run, shop):
    status, _, err = run("status", "/lb-vm/lb")

    assert status == 2
    assert "'fieldconf why /lb-vm/lb' and 'fieldconf events /lb-vm/lb'" in err


def test_numbers_in_paths_are_sorted_as_numbers():
    paths = ["/web10", "/web2/a", "/web", "/web2", "/db/x1", "/web1"]

    assert sorted(paths, key=common.by_number) == [
        "/db/x1", "/web", "/web1", "/web2", "/web2/a", "/web10",
    ]  # fmt: skip


def test_screen_that_is_too_low_shows_what_is_not_well(run, shop, monkeypatch):
    run("stop", "/lb-vm/lb")
    monkeypatch.setenv("LINES", "8")
    monkeypatch.setenv("COLUMNS", "80")

    told = shop.ask("status")

    assert len(show._status_text(told).splitlines()) == 10
    assert [line.split()[0] for line in show._status_text(told, True).splitlines()] == [
        "shop", "instance", "/lb-vm/lb", "7",
    ]  # fmt: skip


def test_note_tells_that_nothing_was_heard_since_the_start():
    instance = {"state": "unknown", "problem": None, "node": "n1", "online": True}

    assert common.note(instance) == "not heard yet since the coordinator started"


def test_note_tells_the_first_line_of_a_problem():
    problem = {"code": "failed", "text": "start: exit status 3\nno such file", "resting": False}
    instance = {"problem": problem, "missing": [], "node": "n1", "online": True}

    assert common.note(instance) == "failed: start: exit status 3"


def test_force_does_not_wait_for_what_runs_on_the_nodes(run, shop):
    assert run("undeploy", "--force")[0] == 0

    until(lambda: shop.ask("status")["nodes"] == [])


def test_a_node_that_cannot_tell_beforehand_says_so(run, shop):
    status, out, err = run("preview", "/lb-vm/lb")

    assert (status, out) == (1, "")
    assert "answers preview with error: unknown verb: preview" in err


def test_retry_reaches_everything_without_a_path(run, shop):
    assert run("retry")[:2] == (0, "done\n")


def test_deploy_that_cannot_end_says_what_it_waits_for(run, tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "_QUIET_S", 0.5)
    lonely = "instance of VM {\n name: vm;\n instance of Web {\n  name: web;\n }\n}\n"
    (tmp_path / "lonely").mkdir()
    write(tmp_path / "lonely", SHOP, lonely)
    with coordinator(tmp_path / "data", serves=True):
        status, _, err = run("deploy", tmp_path / "lonely")

    assert status == 1
    assert "/vm/web waits for Data.ip, Data.port" in err
    assert "it goes on by itself when what is missing is there" in err


def test_deploy_warns_of_scripts_and_settings_and_goes_on(run, tmp_path):
    folder = tmp_path / "odd"
    shutil.copytree(WEB_CLUSTER, folder)
    (folder / "graph" / "Web" / "scripts" / "udpate.sh").write_text("")
    with (folder / "descriptor" / "application.properties").open("a") as descriptor:
        descriptor.write("\ncheck.evry = 5s\n")
    with coordinator(tmp_path / "data", serves=True):
        status, out, err = run("deploy", folder)
        told = json.loads(run("deploy", folder, "--json")[1])

    assert (status, out.splitlines()[-1].split()) == (0, ["8/8", "done"])
    assert [line.split(": ")[:3] for line in err.splitlines()] == [
        ["warning", "descriptor", "FC_UNKNOWN_SETTING"],
        ["warning", "graph/Web/scripts/udpate.sh", "FC_UNUSED_SCRIPT"],
    ]
    assert [one["code"] for one in told["warnings"]] == ["FC_UNKNOWN_SETTING", "FC_UNUSED_SCRIPT"]


def test_what_many_wait_for_is_told_once_and_stays_together(capsys):
    class Remote:
        def why(self, app, path):
            said = {"path": "/vm/db", "text": "failed: start\nneeds a disk"}
            return [{"path": path, "text": "waits for Db"}, said]

    steps = [{"path": path, "done": False, "state": "unresolved"} for path in ("/a", "/b")]

    assert waiting._tell_why(Remote(), {"id": 1, "application": "shop", "steps": steps})

    assert capsys.readouterr().err.splitlines()[:-1] == [
        "  waiting  /a waits for Db",
        "  waiting  /vm/db failed: start",
        "           needs a disk",
        "  waiting  /b waits for Db",
    ]
