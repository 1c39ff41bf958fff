"""What is done to applications: foreseen, cancelled, described, placed, looked up."""

import re

import pytest

from support.many import one_machine
from support.rest import WEB_CLUSTER, zipped

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def shop(running):
    """A fleet with an application that runs."""
    running.deploy()
    return running


def waiting(fleet, folder, name, **more):
    """Begin to deploy an application that waits for another one, and return its template's id."""
    folder = one_machine(folder, name, "App", imports="external STORE.ip", **more)
    template = fleet.upload(zipped(folder)).data["id"]
    if name not in [one["name"] for one in fleet.get("/applications").data]:
        assert fleet.post("/applications", {"template": template, "name": name}).status == 202
    return template


def panel(page):
    return page.get_by_role("complementary", name="Selected instance")


def effects(dialog):
    return dialog.get_by_label("What will happen").get_by_role("listitem")


def test_what_the_coordinator_foresees_is_shown_before_and_happens(shop, page):
    page.goto(f"{shop.url}/#/applications/shop?at=/web-vm1")
    panel(page).get_by_text("More").click()
    panel(page).get_by_role("button", name="Scale …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("That is how many there are now.")

    dialog.get_by_label("Copies").fill("3")

    expect(effects(dialog)).to_have_text(
        ["/web-vm3is added and starts; gets a node", "/web-vm3/webis added and starts"]
    )
    dialog.get_by_label("Copies").fill("1")
    expect(effects(dialog).filter(has_text="/web-vm2/web")).to_contain_text("leaves the app")
    assert shop.get("/applications/shop").data["instances"]["total"] == 8
    dialog.get_by_label("Copies").fill("3")
    expect(effects(dialog).first).to_contain_text("/web-vm3")
    dialog.get_by_role("button", name="Scale").click()
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    assert shop.get("/applications/shop").data["instances"]["total"] == 10


def test_undeploying_and_removing_tell_which_node_goes_and_who_suffers(shop, page):
    page.goto(f"{shop.url}/#/applications/shop?at=/data-vm")
    dialog = page.get_by_role("dialog")
    for action, word in (("Undeploy …", "is undeployed"), ("Remove …", "leaves the application")):
        panel(page).get_by_text("More").click()
        panel(page).get_by_role("button", name=action).click()

        machine = effects(dialog).filter(has=page.get_by_text("/data-vm", exact=True))
        expect(machine).to_contain_text(word)
        expect(machine).to_contain_text("is emptied and given back")
        suffering = effects(dialog).filter(has=page.get_by_text("/web-vm1/web", exact=True))
        expect(suffering).to_contain_text("loses its last provider of Data")
        page.keyboard.press("Escape")


def test_a_cancelled_deployment_is_put_back(shop, page, tmp_path):
    waiting(shop, tmp_path / "user", "user")
    page.goto(shop.url)
    change = page.get_by_role("listitem").filter(has_text="deploy user 1.0")
    change.get_by_role("button", name="Cancel: deploy user 1.0").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What it deployed is undeployed")

    dialog.get_by_role("button", name="Cancel the change").click()

    expect(dialog).to_contain_text("what it wished is being put back")
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    page.keyboard.press("Escape")
    expect(change).to_have_count(0)
    states = [one["state"] for one in shop.get("/applications/user/instances").data]
    assert set(states) == {"not-deployed"}


def test_a_cancelled_change_of_version_tells_what_stays(shop, page, tmp_path):
    waiting(shop, tmp_path / "one", "late")
    newer = waiting(shop, tmp_path / "two", "late", more="exports-prefix = LATE\n")
    shop.put("/applications/late/template", {"template": newer})
    page.goto(f"{shop.url}/#/applications/late")

    page.get_by_role("button", name=re.compile("^Cancel: ")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel the change").click()

    stays = "late stays changed to version 1.0: deploy another one to go back"
    expect(dialog.locator(".note")).to_contain_text(stays)


def test_a_description_is_edited_unless_somebody_was_faster(shop, page):
    page.goto(f"{shop.url}/#/applications/shop")
    dialog = page.get_by_role("dialog")

    def edit(text):
        page.get_by_text("More").first.click()
        page.get_by_role("button", name="Edit the description …").click()
        dialog.get_by_label("Description").fill(text)

    edit("Ask Anna")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Ask Anna")).to_be_visible()
    edit("too late")
    shop.patch("/applications/shop", {"description": "Ask Bert"})
    dialog.get_by_role("button", name="Save").click()

    expect(dialog.get_by_role("alert")).to_be_visible()
    assert shop.get("/applications/shop").data["description"] == "Ask Bert"


def test_the_events_of_an_instance_are_one_click_away(shop, page):
    page.goto(f"{shop.url}/#/applications/shop?at=/lb-vm")
    panel(page).get_by_role("link", name="All its events").click()

    expect(page.get_by_label("Instance and all below it")).to_have_value("/lb-vm")
    expect(page.get_by_role("heading", name="None is like that")).to_be_visible()
    page.get_by_label("Instance and all below it").fill("")
    page.get_by_label("Instance and all below it").press("Enter")
    expect(page.get_by_role("row").filter(has_text="deploy web-cluster 1.0: done")).to_be_visible()


def test_targets_are_chosen_for_a_component_and_for_a_template(shop, page):
    shop.put("/targets/bench", {"handler": "memory", "hints": {"templates": ["web-cluster"]}})
    shop.put("/targets/other", {"handler": "memory", "hints": {"templates": ["nobody"]}})
    template = shop.upload(zipped(WEB_CLUSTER)).data["id"]
    page.goto(f"{shop.url}/#/templates/{template}")
    page.get_by_role("button", name="Choose …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Target", exact=True).locator("option")).to_contain_text(
        ["None", "bench"]
    )
    expect(
        dialog.get_by_label("Target", exact=True).locator("option", has_text="other")
    ).to_have_count(0)

    dialog.get_by_label("For", exact=True).fill("@VM")
    dialog.get_by_label("Target", exact=True).select_option("bench")
    dialog.get_by_role("button", name="Choose").click()

    expect(page.get_by_role("definition").filter(has_text="bench")).to_be_visible()
    placed = [{"element": "@VM", "target": "bench"}]
    assert shop.get(f"/templates/{template}/targets").data == placed

    page.goto(f"{shop.url}/#/applications/shop")
    page.get_by_text("More").first.click()
    page.get_by_role("button", name="Targets …").click()
    dialog.get_by_label("For", exact=True).fill("/lb-vm")
    dialog.get_by_label("Target", exact=True).select_option("bench")
    dialog.get_by_role("button", name="Choose").click()
    # Its node is there already.
    expect(dialog.get_by_role("alert")).to_be_visible()


def test_a_target_keeps_to_whom_it_is_offered(shop, page):
    hints = {"applications": ["shop"], "templates": ["web-cluster"]}
    shop.put("/targets/kept", {"handler": "memory", "hints": hints})
    page.goto(f"{shop.url}/#/targets")
    row = page.get_by_role("row").filter(has_text="kept")
    expect(row).to_contain_text("Offered to shop, applications of web-cluster")

    row.get_by_role("button", name="Edit …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Description").fill("changed")
    dialog.get_by_role("button", name="Save").click()

    expect(row).to_contain_text("changed")
    assert shop.get("/targets/kept").data["hints"] == hints
