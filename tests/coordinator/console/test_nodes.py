"""Machines of one's own in the console: enrolled, approved, tagged, expelled."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
expect.set_options(timeout=30_000)


@contextmanager
def agent(folder, settings):
    """Run an agent as a machine with these settings would."""
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [sys.executable, "-m", "fieldconf_microagent", "--dir", str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def enrol(page, name, **fields):
    """Enrol a machine in the dialog and return the settings that are downloaded."""
    page.get_by_role("button", name="Enrol a machine").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Id").fill(name)
    for label, text in fields.items():
        dialog.get_by_label(label).fill(text)
    return dialog


def downloaded(page, dialog, name):
    with page.expect_download() as download:
        dialog.get_by_role("button", name=f"Download {name}.json").click()
    return json.loads(download.value.path().read_text())


def row_of(page, name):
    return page.get_by_role("row").filter(has_text=name)


def test_a_machine_is_enrolled_and_its_key_is_shown_once(running, page):
    page.goto(f"{running.url}/#/nodes")
    dialog = enrol(page, "roof-7", Board="esp32", Tags="outdoor, site=north")
    dialog.get_by_role("button", name="Enrol", exact=True).click()

    expect(dialog).to_contain_text("fieldconf image esp32 --settings roof-7.json")
    expect(dialog).to_contain_text("which is this box only")
    page.keyboard.press("Escape")
    settings = downloaded(page, dialog, "roof-7")
    shown = json.loads(dialog.locator("pre").inner_text())
    assert settings == shown
    assert settings["node"] == "roof-7" and settings["key"]
    dialog.get_by_role("button", name="Done").click()

    expect(row_of(page, "roof-7")).to_contain_text("never heard yet")
    expect(row_of(page, "roof-7")).to_contain_text("site=north")
    page.get_by_role("link", name="roof-7").click()
    expect(page.get_by_text("Nothing runs on it")).to_be_visible()
    assert settings["key"] not in page.content()


def test_the_settings_can_be_copied(running, page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{running.url}/#/nodes")
    dialog = enrol(page, "copied")
    dialog.get_by_role("button", name="Enrol", exact=True).click()

    dialog.get_by_role("button", name="Copy").click()

    expect(page.get_by_text("It is copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == dialog.locator("pre").inner_text()


def test_what_is_refused_is_said_in_the_dialog(running, page):
    page.goto(f"{running.url}/#/nodes")
    dialog = enrol(page, "no id", Broker="http://gateway")

    dialog.get_by_role("button", name="Enrol", exact=True).click()

    expect(dialog.get_by_role("alert")).to_be_visible()
    assert "no id" not in [one["id"] for one in running.get("/nodes").data]


def test_a_machine_that_joins_is_approved_gets_lost_and_is_expelled(running, page, tmp_path):
    page.goto(f"{running.url}/#/nodes")
    dialog = enrol(page, "shed-1")
    dialog.get_by_label("Somebody else sets it up").check()
    dialog.get_by_role("button", name="Enrol", exact=True).click()
    settings = downloaded(page, dialog, "shed-1")
    dialog.get_by_role("button", name="Done").click()
    row = row_of(page, "shed-1")

    with agent(tmp_path / "shed", settings):
        expect(row).to_contain_text("joins, to be approved")
        page.get_by_label("State").select_option("joining")
        row.get_by_role("button", name="Approve shed-1").click()
        expect(dialog).to_contain_text("It says that it is")
        dialog.get_by_role("button", name="Approve").click()
        page.get_by_label("State").select_option("unused")
        expect(row).to_contain_text("free")

    expect(row).to_contain_text("offline since")
    row.get_by_role("button", name="Expel shed-1").click()
    dialog.get_by_role("button", name="Expel").click()
    expect(row).to_have_count(0)


def test_tags_are_edited_unless_somebody_was_faster(running, page):
    running.post("/nodes", {"id": "tagged", "tags": ["old"]})
    page.goto(f"{running.url}/#/nodes")
    row = row_of(page, "tagged")
    row.get_by_role("button", name="Tags of tagged").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Tags")).to_have_value("old")
    running.patch("/nodes/tagged", {"tags": ["faster"]})
    dialog.get_by_label("Tags").fill("too late")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")

    row.get_by_role("button", name="Tags of tagged").click()
    dialog.get_by_label("Tags").fill("faster rack=3")
    dialog.get_by_role("button", name="Save").click()

    expect(row).to_contain_text("rack=3")
    page.get_by_label("Tag", exact=True).select_option("rack=3")
    expect(page.locator("main tbody tr")).to_have_count(1)


def test_a_node_in_use_has_tags_on_its_page_too(running, page):
    running.deploy()
    node = next(one for one in running.get("/nodes?application=shop").data)
    page.goto(f"{running.url}/#/nodes/{node['id']}")

    page.get_by_role("button", name="Tags …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Tags").fill("indoor")
    dialog.get_by_role("button", name="Save").click()

    expect(page.get_by_label("What it is")).to_contain_text("indoor")
    expect(page.get_by_role("button", name="Another key …")).to_have_count(0)
    expect(page.get_by_label("What runs on it").get_by_role("row")).to_have_count(3)


def test_a_node_that_is_not_there_says_so(running, page):
    page.goto(f"{running.url}/#/nodes/nix")

    expect(page.get_by_role("heading", name="There is no node nix")).to_be_visible()
