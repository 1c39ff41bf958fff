"""The console for everybody: what axe-core finds, on every page, in both themes, on a phone."""

import pytest

from support import browser as browsers
from support.rest import WEB_CLUSTER, served, zipped

PAGES = {
    "fleet": "",
    "picture": "applications/shop",
    "selected": "applications/shop?at=/lb-vm/lb",
    "components": "applications/shop?view=components",
    "tree": "applications/shop?view=tree",
    "nodes": "nodes",
    "templates": "templates",
    "targets": "targets",
    "bindings": "bindings",
    "events": "events",
    "users": "access",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with served(tmp_path_factory.mktemp("access") / "data", dev=True) as fleet:
        fleet.deploy()
        # Something that waits and something that is stopped have other colours.
        wanted = {"wanted": "deployed-stopped", "paths": ["/data-vm/data"]}
        fleet.done(fleet.put("/applications/shop/wanted", wanted))
        fleet.post("/users", {"name": "anna", "role": "admin", "password": "correct horse"})
        yield fleet.url


def findings(page):
    """Return what axe-core finds serious, as (rule, what it is about)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    found = axe.Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_finding(url, browser, theme, name):
    with browsers.page(browser, theme=theme) as page:
        page.goto(f"{url}/#/{PAGES[name]}")
        page.get_by_text("Live", exact=True).wait_for()
        page.locator("main h1").wait_for()
        page.locator(".loading").wait_for(state="detached")

        assert findings(page) == []


@pytest.mark.parametrize("name", ["fleet", "selected", "tree", "nodes"])
def test_a_page_fits_a_phone(url, browser, name):
    with browsers.page(browser, browsers.PHONE) as page:
        page.goto(f"{url}/#/{PAGES[name]}")
        page.locator("main h1").wait_for()
        page.locator(".loading").wait_for(state="detached")

        assert page.evaluate("document.documentElement.scrollWidth") <= browsers.PHONE["width"]
        assert findings(page) == []


def test_a_dialog_has_no_serious_finding_and_gives_the_focus_back(url, browser):
    with browsers.page(browser) as page:
        page.goto(f"{url}/#/applications/shop")
        opener = page.get_by_role("button", name="Stop all")
        opener.click()
        page.get_by_role("dialog").wait_for()

        assert findings(page) == []
        page.keyboard.press("Escape")
        assert opener.evaluate("element => element === document.activeElement")


def test_the_login_has_no_serious_finding(tmp_path, browser):
    with served(tmp_path / "data") as fleet, browsers.page(browser) as page:
        page.goto(fleet.url)
        page.get_by_role("button", name="Log in", exact=True).wait_for()

        assert findings(page) == []


def test_the_theme_can_be_chosen_and_is_kept(url, browser):
    with browsers.page(browser) as page:
        page.goto(url)
        page.get_by_label("Theme").select_option("dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        page.get_by_label("Theme").wait_for()

        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.get_by_label("Theme").select_option("light")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_reports_of_templates_have_no_serious_finding(tmp_path, browser):
    with served(tmp_path / "data", dev=True) as fleet, browsers.page(browser) as page:
        template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        page.goto(f"{fleet.url}/#/templates/{template}")
        page.get_by_role("heading", name="Check report").wait_for()

        assert findings(page) == []
