"""The console with five hundred instances, and with none."""

import re

import pytest

from support.many import machines
from support.rest import served


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    with served(folder / "data", dev=True) as fleet:
        fleet.deploy("many", machines(folder / "template", 250))
        yield fleet.url


# How long it took from asking for the page until the picture answers to a click.
_INTERACTIVE = """async () => {
    const box = document.querySelector('.picture [data-path="/web-vm100/web"]');
    box.dispatchEvent(new MouseEvent("click", {bubbles: true}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    return performance.now();
}"""


def test_five_hundred_instances_are_drawn_and_can_be_chosen(url, page, capsys):
    page.goto(f"{url}/#/applications/many")
    page.wait_for_selector('.picture [data-path="/web-vm100/web"]')
    took_ms = page.evaluate(_INTERACTIVE)

    with capsys.disabled():
        print(f"\n500 instances: interactive {took_ms:.0f} ms after the page was asked for")
    assert page.locator(".picture [data-path]").count() == 500
    page.get_by_role("heading", name="/web-vm100/web").wait_for()


def test_the_tree_makes_rows_as_far_as_one_scrolls(url, page):
    page.goto(f"{url}/#/applications/many?view=tree")
    rows = page.locator(".tree tbody tr")
    page.locator(".tree tbody tr").nth(50).wait_for()
    assert rows.count() < 400

    page.get_by_label("Find by path or component").fill("web-vm248")

    page.get_by_text("2 of 500 instances").wait_for()
    assert rows.count() == 2


def test_the_nodes_can_be_searched(url, page):
    page.goto(f"{url}/#/nodes")
    page.get_by_text("250 of 250 nodes online.").wait_for()

    page.get_by_label("Find by id, instance, tag, platform").fill("/lb-vm")

    page.get_by_text("1 of 250", exact=True).wait_for()
    assert page.locator("main tbody tr").count() == 1


# page → what its button, if it needs one, is called
EMPTY = {
    "": "Upload a template",
    "nodes": "Enrol a machine",
    "templates": "Upload a template",
    "bindings": "See the templates",
    "events": "See the templates",
}


def test_a_fleet_of_nothing_says_what_to_do(fleet, page):
    for name, first in EMPTY.items():
        page.goto(f"{fleet.url}/#/{name}")
        nothing = page.locator(".empty")
        nothing.wait_for()

        assert re.search(r"No |Nothing ", nothing.get_by_role("heading").inner_text())
        assert len(nothing.locator("p").inner_text()) > 40
        assert nothing.locator("button, a").first.inner_text() == first
