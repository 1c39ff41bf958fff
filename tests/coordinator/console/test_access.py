"""The console for everybody: what axe-core finds, on every page, in both themes, on a phone."""

import pytest

from support import browser as browsers
from support.rest import served

PAGES = {
    "fleet": "",
    "picture": "applications/shop",
    "selected": "applications/shop?at=/lb-vm/lb",
    "components": "applications/shop?view=components",
    "tree": "applications/shop?view=tree",
    "no such application": "applications/nix",
    "nodes": "nodes",
    "node": "nodes/NODE",
    "machine": "nodes/roof-7",
    "no such node": "nodes/nix",
    "templates": "templates",
    "template": "templates/TEMPLATE",
    "targets": "targets",
    "bindings": "bindings",
    "events": "events",
    "users": "access",
}


@pytest.fixture(scope="module")
def addresses(running):
    """Where the pages are: of a fleet with something that waits, something stopped, tags."""
    template = running.deploy()
    wanted = {"wanted": "deployed-stopped", "paths": ["/data-vm/data"]}
    running.done(running.put("/applications/shop/wanted", wanted))
    running.post("/users", {"name": "anna", "role": "admin", "password": "correct horse"})
    node = running.get("/nodes").data[0]["id"]
    running.patch(f"/nodes/{node}", {"tags": ["indoor", "rack=3"]})
    running.post("/nodes", {"id": "roof-7", "board": "esp32", "tags": ["outdoor"]})
    filled = {
        name: where.replace("NODE", node).replace("TEMPLATE", template)
        for name, where in PAGES.items()
    }
    return {name: f"{running.url}/#/{where}" for name, where in filled.items()}


def findings(page):
    """Return what axe-core finds serious, as (rule, what it is about)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    found = axe.Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def settled(page, address):
    page.goto(address)
    page.locator('[data-connection="live"]').wait_for()
    page.locator("main h1").wait_for()
    page.locator(".loading").first.wait_for(state="hidden")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_finding(addresses, browser, theme):
    found = {}
    with browsers.page(browser, theme=theme) as page:
        for name, address in addresses.items():
            settled(page, address)
            found[name] = findings(page)

    assert found == {name: [] for name in PAGES}


def test_every_page_fits_a_phone(addresses, browser):
    width, found = {}, {}
    with browsers.page(browser, browsers.PHONE) as page:
        page.goto(addresses["fleet"])
        page.get_by_role("button", name="Menu").click()
        for name, address in addresses.items():
            page.goto(address)
            page.locator("main h1").wait_for()
            page.locator(".loading").first.wait_for(state="hidden")
            width[name] = page.evaluate("document.documentElement.scrollWidth")
            if name in ("fleet", "selected", "tree", "nodes", "machine"):
                found[name] = findings(page)

    assert width == dict.fromkeys(PAGES, browsers.PHONE["width"])
    assert not any(found.values()), found


def test_a_menu_stays_on_a_phone(addresses, browser):
    with browsers.page(browser, browsers.PHONE) as page:
        settled(page, addresses["selected"])
        for menu in page.locator("details.menu").all():
            menu.locator("summary").click()
            inside = menu.locator(".menu-list").bounding_box()

            assert inside["x"] >= 0
            assert inside["x"] + inside["width"] <= browsers.PHONE["width"]
            page.keyboard.press("Escape")


# page, what opens the dialog, what has to be there
DIALOGS = [
    ("picture", "Stop all", "What will happen"),
    ("picture", "Start all", "What will happen"),
    ("nodes", "Enrol a machine", "Board"),
    ("machine", "Tags …", "Set apart by blanks"),
    ("machine", "Another key …", "Broker"),
    ("template", "Deploy …", "A new application"),
    ("template", "Choose …", "Target"),
    ("targets", "Define a target", "Offered to templates"),
    ("users", "Add a user", "Password"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_dialog_has_a_serious_finding_and_each_gives_the_focus_back(addresses, browser, theme):
    found = {}
    with browsers.page(browser, theme=theme) as page:
        for name, opener, text in DIALOGS:
            settled(page, addresses[name])
            button = page.get_by_role("button", name=opener).first
            button.click()
            page.get_by_role("dialog").get_by_text(text).first.wait_for()
            found[opener] = findings(page)
            page.keyboard.press("Escape")
            assert button.evaluate("element => element === document.activeElement")

    assert not any(found.values()), found


def test_the_login_has_no_serious_finding(tmp_path, browser):
    with served(tmp_path / "data") as fleet, browsers.page(browser) as page:
        page.goto(fleet.url)
        page.get_by_role("button", name="Log in", exact=True).wait_for()

        assert findings(page) == []


def test_the_theme_can_be_chosen_and_is_kept(running, browser):
    with browsers.page(browser) as page:
        page.goto(running.url)
        page.get_by_label("Theme").select_option("dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        page.get_by_label("Theme").wait_for()

        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.get_by_label("Theme").select_option("light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
