"""The command ``nodes`` and its tags."""

import json
import threading

import pytest

from support.commands import in_process
from support.rest import served


@pytest.fixture
def run(monkeypatch, capsys):
    return in_process(monkeypatch, capsys)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with served(folder) as fleet:
        fleet.folder = folder
        fleet.deploy()
        yield fleet


@pytest.fixture
def node(shop, monkeypatch):
    monkeypatch.setenv("FIELDCONF_DATA", str(shop.folder))
    node = shop.get("/nodes").data[0]["id"]
    shop.patch(f"/nodes/{node}", {"tags": []})
    return node


def test_tags_are_given_and_taken_away(run, node):
    assert run("nodes", "tag", node, "+home", "+site=north")[1] == f"{node}: home site=north\n"
    # No option begins with -h here, so that this one is no cry for help.
    assert run("nodes", "tag", node, "-home", "+roof")[1] == f"{node}: roof site=north\n"
    assert run("nodes", "tag", node)[1] == f"{node}: roof site=north\n"
    assert json.loads(run("nodes", "tag", node, "--json")[1])["tags"] == ["roof", "site=north"]


def test_the_beginning_of_an_id_is_enough_where_it_is_the_only_one(run, node, shop):
    ids = [one["id"] for one in shop.get("/nodes").data]
    begun = next(node[:n] for n in range(1, 20) if sum(i.startswith(node[:n]) for i in ids) == 1)

    assert run("nodes", "tag", begun, "+home")[1] == f"{node}: home\n"
    assert "'n' means several nodes" in run("nodes", "tag", "n", "+home")[2]


def test_nodes_show_their_tags_and_are_found_by_them(run, node):
    run("nodes", "tag", node, "+roof")

    assert any(line.startswith(node) and " roof" in line for line in run("nodes")[1].splitlines())
    assert [one["id"] for one in json.loads(run("nodes", "--tag", "roof", "--json")[1])] == [node]
    assert run("nodes", "--tag", "nothing")[1] == "no nodes\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tag", "NODE", "roof"), "'roof': write +TAG to give a tag, -TAG to take one away"),
        (("tag", "NODE", "+a b"), "expected a text like"),
        (("tag", "nobody", "+x"), "there is no node 'nobody'"),
        (("--tag", "x", "tag", "NODE"), "write --tag behind 'tag'"),
    ],
)
def test_what_cannot_be_tagged_is_refused_in_words(run, node, words, said):
    status, _, err = run("nodes", *(node if word == "NODE" else word for word in words))

    assert status in (1, 2)
    assert said in err


def test_those_who_tag_at_the_same_time_lose_nothing(run, node, shop):
    """Whoever is overtaken looks again, and edits what is there then."""
    from fieldconf_coordinator.cli import contexts
    from fieldconf_coordinator.cli.remote import Remote

    place = contexts.chosen(shop.folder, None, None, "said", "default")

    def give(tag):
        Remote.at(place).tag(node, {tag}, set())

    threads = [threading.Thread(target=give, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert shop.get(f"/nodes/{node}").data["tags"] == ["t0", "t1", "t2", "t3"]
