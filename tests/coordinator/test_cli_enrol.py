"""The command ``enrol``: what it hands over, once, and to whom."""

import json

import pytest

from support.commands import in_process
from support.rest import served


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with served(folder) as fleet:
        fleet.folder = folder
        yield fleet


@pytest.fixture
def run(fleet, monkeypatch, capsys):
    monkeypatch.setenv("FIELDCONF_DATA", str(fleet.folder))
    return in_process(monkeypatch, capsys)


def test_settings_go_into_a_file_that_only_its_owner_reads(run, fleet, tmp_path):
    out = tmp_path / "roof-7.json"

    status, said, noted = run(
        "enrol", "roof-7", "--board", "esp32", "--tag", "roof", "--broker", "mqtt://gateway:1883",
        "-o", out,
    )  # fmt: skip

    assert status == 0
    settings = json.loads(out.read_text())
    assert (settings["node"], settings["broker"]) == ("roof-7", "mqtt://gateway:1883")
    assert out.stat().st_mode & 0o077 == 0
    assert settings["key"] not in said + noted
    assert f"next: fieldconf image esp32 --settings {out} -o OUT" in said
    assert noted == ""
    row = next(line for line in run("nodes")[1].splitlines() if line.startswith("roof-7"))
    assert "new" in row and "(not seen yet)" in row and " roof" in row


def test_without_a_file_they_are_printed_with_a_note(run):
    status, said, noted = run("enrol", "roof-8")

    assert status == 0
    assert len(json.loads(said)["key"]) == 64
    assert "not shown again" in noted
    assert "for another machine name it with --broker" in noted


def test_a_lost_key_is_replaced(run, tmp_path):
    first = json.loads(run("enrol", "roof-9")[1])
    status, _, err = run("enrol", "roof-9")
    assert status == 1
    assert "there is a node roof-9 already" in err and "--anew" in err

    second = json.loads(run("enrol", "roof-9", "--anew")[1])

    assert second["key"] != first["key"]
    assert second["enrolment"] == first["enrolment"] + 1


def test_a_name_that_no_node_may_have_is_refused_in_words(run):
    status, _, err = run("enrol", "my pi")

    assert status == 1
    assert "expected a name of letters, digits, - and _, not 'my pi'" in err


def test_nothing_is_overwritten_and_no_key_is_made_for_nothing(run, fleet, tmp_path):
    out = tmp_path / "there.json"
    out.write_text("mine")

    status, _, err = run("enrol", "roof-10", "-o", out)

    assert status == 2
    assert "is there already" in err
    assert out.read_text() == "mine"
    assert fleet.get("/nodes/roof-10").status == 404


def test_a_new_key_takes_the_place_of_the_former_one_in_its_file(run, tmp_path):
    out = tmp_path / "roof-12.json"
    run("enrol", "roof-12", "-o", out)
    former = json.loads(out.read_text())
    status, _, err = run("enrol", "roof-12", "-o", out)
    assert status == 2 and "--anew makes it another key and replaces them" in err.replace("\n", " ")

    assert run("enrol", "roof-12", "--anew", "-o", out)[0] == 0

    assert json.loads(out.read_text())["key"] != former["key"]
    assert out.stat().st_mode & 0o077 == 0
    assert [file.name for file in tmp_path.iterdir()] == ["roof-12.json"]


@pytest.mark.parametrize("expelled", [False, True])
def test_who_is_not_enrolled_gets_no_other_key(run, expelled):
    name = "gone-1" if expelled else "gone-2"
    if expelled:
        run("enrol", name)
        run("enrol", name, "--expel")

    err = run("enrol", name, "--anew")[2]

    assert f"hint: 'fieldconf enrol {name}' without --anew enrols it" in err


def test_an_image_of_a_node_that_is_there_names_the_way_to_another_key(run, tmp_path):
    run("enrol", "desk")

    err = run("image", "unix", "--node", "desk", "-o", tmp_path / "out")[2]

    assert "hint: 'fieldconf image … --anew' gives it another key" in err


def test_a_node_may_know_up_to_three_brokers(run, tmp_path):
    out, words = tmp_path / "barn.json", ["--broker", "mqtt://gateway.local", "--broker"]

    run("enrol", "barn", *words, "mqtt://10.0.0.2:1884", "-o", out)

    known = json.loads(out.read_text())
    assert known["broker"] == ["mqtt://gateway.local", "mqtt://10.0.0.2:1884"]
    err = run("enrol", "barn", "--anew", *words, "http://x", "-o", out)[2]
    assert "'http://x' must be mqtt://host:port or mqtts://host:port" in err
    noted = run("enrol", "stall", "--broker", "mqtt://localhost", "--broker", "mqtt://[::1]")[2]
    assert "for the broker at mqtt://localhost or mqtt://[::1], which is this box only" in noted
    assert "at most 3" in run("enrol", "hut", *(words[:2] * 4))[2]


def test_what_to_do_next_depends_on_the_machine(run, tmp_path):
    pi, shed = tmp_path / "pi.json", tmp_path / "shed.json"

    assert f"next: put {pi} as settings.json" in run("enrol", "pi", "--board", "linux", "-o", pi)[1]
    assert f"next: send {shed} to" in run("enrol", "shed", "--join", "-o", shed)[1]


def test_settings_that_cannot_be_written_are_not_lost(run, tmp_path):
    status, said, err = run("enrol", "roof-11", "-o", tmp_path / "nowhere" / "x.json")

    assert status == 1
    assert json.loads(said)["node"] == "roof-11"
    assert "cannot write" in err and "printed above" in err


def test_joining_says_how_to_go_on_and_waits_until_it_was_heard(run, tmp_path):
    said = run("enrol", "shed-1", "--join", "-o", tmp_path / "shed-1.json")[1]
    assert "fieldconf enrol shed-1 --approve" in said

    status, _, err = run("enrol", "shed-1", "--approve")

    assert status == 1
    assert "shed-1 has not been heard yet\nhint: give its token to the machine" in err


def test_who_is_expelled_is_not_listed_any_more(run):
    run("enrol", "old-1")

    assert run("enrol", "old-1", "--expel")[1] == "old-1 is enrolled no more\n"

    assert "old-1" not in run("nodes")[1]
    assert "no machine 'old-1' is enrolled" in run("enrol", "old-1", "--expel")[2]


def test_flags_that_exclude_each_other_are_refused(run):
    assert "exclude each other" in run("enrol", "b1", "--join", "--anew")[2]
