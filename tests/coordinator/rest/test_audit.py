"""The audit log: nothing is changed that is not in it, and nobody can change it unseen."""

import json
import os

import pytest

from fieldconf_coordinator.rest.audit import FILE, Audit, verify
from support.commands import fieldconf
from support.rest import PASSWORD, WEB_CLUSTER, served, zipped


@pytest.fixture
def log(tmp_path):
    """A log with a few entries; returns its path."""
    with served(tmp_path, dev=True) as fleet:
        fleet.upload(zipped(WEB_CLUSTER))
        fleet.post("/users", {"name": "anna", "role": "viewer", "password": PASSWORD})
        fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"})
        fleet.get("/status")
    return tmp_path / FILE


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_log_tells_who_wanted_what_and_what_came_of_it(log):
    found = entries(log)

    asked = [(one["who"], one["method"], one["path"]) for one in found if "method" in one]
    assert asked == [
        ("dev", "POST", "/api/v1/templates"),
        ("dev", "POST", "/api/v1/users"),
        ("dev", "PUT", "/api/v1/applications/shop/wanted"),
    ]
    statuses = {one["of"]: one["status"] for one in found if "of" in one}
    assert [statuses[one["number"]] for one in found if "method" in one] == [201, 201, 404]
    assert found[0]["what"] == "the coordinator starts"


def test_log_tells_no_secret(log):
    assert PASSWORD not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_untouched_log_is_sound(log):
    verdict = verify(log)

    assert (verdict.problem, verdict.lines) == ("", len(entries(log)))
    assert verdict.last == entries(log)[-1]["hash"]


def change(line):
    return line.replace(b'"dev"', b'"eve"')


def forge(line):
    entry = {**json.loads(line), "who": "eve"}
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda lines: [*lines[:1], change(lines[1]), *lines[2:]], "line 2 was changed"),
        (lambda lines: [*lines[:1], forge(lines[1]), *lines[2:]], "line 2 was changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 does not follow"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3 does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1 does not follow"),
        (lambda lines: lines[1:], "line 1 does not follow"),
        (lambda lines: [*lines[:1], b"{}\n", *lines[2:]], "line 2 does not follow"),
        (lambda lines: [*lines[:1], b"what?\n", *lines[2:]], "line 2 is no entry"),
    ],
    ids=[
        "changed", "rewritten", "taken out", "doubled", "swapped", "begin cut off", "emptied",
        "garbage",
    ],
)  # fmt: skip
def test_tampered_line_is_found(log, tamper, said):
    log.write_bytes(b"".join(tamper(log.read_bytes().splitlines(keepends=True))))

    assert verify(log).problem.startswith(said)
    status, _, err = fieldconf(log.parent, "audit", "verify")
    assert (status, said in err) == (1, True)


def test_command_tells_the_last_hash(log):
    status, out, _ = fieldconf(log.parent, "audit", "verify")
    as_json = json.loads(fieldconf(log.parent, "audit", "verify", "--json")[1])

    assert status == 0
    assert verify(log).last in out
    assert (as_json["sound"], as_json["last"]) == (True, verify(log).last)


def test_command_says_that_there_is_no_log(tmp_path):
    status, _, err = fieldconf(tmp_path, "audit", "verify")

    assert (status, "No such file" in err) == (2, True)


def test_chain_goes_on_after_a_restart_and_a_power_cut(log):
    with open(log, "ab") as file:
        file.write(b'{"number": 99, "at": 17')
    with served(log.parent, dev=True) as fleet:
        fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"})

    assert verify(log).problem == ""
    assert entries(log)[-1]["status"] == 404


def test_nothing_is_changed_when_the_log_cannot_be_written(tmp_path, monkeypatch):
    with served(tmp_path, dev=True) as fleet:
        path, before = tmp_path / FILE, (tmp_path / FILE).read_bytes()

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        body = {"name": "anna", "role": "viewer", "password": PASSWORD}
        answer = fleet.post("/users", body)
        monkeypatch.undo()

        assert (answer.status, answer.error["code"]) == (507, "disk")
        assert path.read_bytes() == before
        assert fleet.get("/users").data == []
        assert fleet.post("/users", body).status == 201
    assert verify(path).problem == ""


def test_log_can_be_opened_twice_in_a_row_without_a_line(tmp_path):
    for _ in range(2):
        Audit(tmp_path).close()

    assert verify(tmp_path / FILE).lines == 0
