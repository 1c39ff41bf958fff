"""What commands print for people: nothing twice, and where to find what does not fit."""

import click

from fieldconf_coordinator.cli import common, show, waiting


def broken(path, *lines):
    """Return what a coordinator tells of an instance whose step failed."""
    problem = {"code": "failed", "text": "start: " + "\n".join(lines), "resting": False}
    return {"path": path, "state": "deployed-stopped", "node": "n1", "online": True,
            "problem": problem}  # fmt: skip


def status_of(*instances, **more):
    apps = {"shop": [{**broken("/a", ""), "problem": None, "state": "deployed-started"}], **more}
    apps["shop"] += instances
    told = [
        {"name": name, "template": name, "version": "1.0", "instances": found}
        for name, found in apps.items()
    ]
    text = show._status_text({"applications": told, "nodes": [], "broker": {"connected": True}})
    return click.unstyle(text).splitlines()


def test_status_says_where_a_problem_that_it_cuts_stands_whole():
    lines = status_of(broken("/vm/my web", "x" * 100))

    assert lines[-2].endswith("x…")
    assert lines[-1] == "in full: fieldconf why '/vm/my web'"


def test_status_says_where_the_other_lines_of_problems_stand():
    lines = status_of(broken("/web10", "exit status 1", "why"), broken("/web2", "x" * 99), next=[])

    assert "in full: fieldconf why /web2 --app shop (2 are cut short here)" in lines


def test_status_says_nothing_more_of_what_it_shows_whole():
    assert status_of(broken("/web", "exit status 1"))[-1].endswith("failed: start: exit status 1")


def test_an_address_is_the_one_that_others_are_told():
    exports = {"Web.ip": None, "Web.port": "80"}
    instance = {"address": "127.0.0.1", "exports": exports}

    assert common.address(instance) == "127.0.0.1:80"
    exports["Web.ip"] = "10.0.0.7"
    assert common.address(instance) == "10.0.0.7:80"
    assert common.address({"address": None, "exports": {"Web.port": "80"}}) == ""


FAILED = ["failed", "start: exit status 3\nno such file", False]


def test_a_failure_is_told_once_with_what_the_script_printed_last():
    def at(state, problem, outcome="running", done=False):
        step = {"path": "/web", "state": state, "problem": problem, "done": done}
        return list(progress.news({"done": 0, "total": 1, "steps": [step], "outcome": outcome}))

    progress = waiting.Progress()

    assert at("starting", None) == []
    assert at("deployed-stopped", FAILED) == [
        "      0/1  /web: deployed-stopped; failed: start: exit status 3\n           no such file"
    ]
    assert at("starting", FAILED) == at("deployed-stopped", FAILED) == []
    other = ["failed", "start: exit status 4", True]
    assert len(at("deployed-stopped", other)) == len(at("deployed-stopped", FAILED)) == 1
    assert at("deployed-started", None, "done", True) == [
        "      0/1  /web: deployed-started",
        "      0/1  done",
    ]


def test_a_problem_of_before_is_told_when_it_comes_again():
    def at(state, problem=FAILED):
        step = {"path": "/web", "state": state, "problem": problem, "done": False}
        return list(progress.news({"done": 0, "total": 1, "steps": [step], "outcome": "running"}))

    progress = waiting.Progress()

    assert at("deployed-stopped") == at("deployed-stopped") == at("starting") == []
    assert at("starting") == []
    assert len(at("deployed-stopped")) == 1
    assert at("deployed-stopped") == at("starting") == at("deployed-stopped") == []
    assert progress.problems == {"/web": FAILED[1]}


def test_of_a_problem_that_was_told_only_the_first_line_is_said_again(capsys):
    class Remote:
        def why(self, app, path):
            return [{"path": path, "text": f"failed: {FAILED[1]}"}]

    waiting.tell_reasons(Remote(), "shop", ["/web"], [FAILED[1]])

    assert capsys.readouterr().err == "  waiting  /web failed: start: exit status 3\n"
