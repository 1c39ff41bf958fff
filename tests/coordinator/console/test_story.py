"""People's stories with the console, in a real browser."""

import re

import pytest

from fieldconf_coordinator.brokers.supervised import kept_port
from support.many import one_machine
from support.rest import WEB_CLUSTER, served, zipped
from support.waiting import until

expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
expect.set_options(timeout=30_000)


def box(page, path):
    return page.locator(f'.picture [data-path="{path}"]')


def panel(page):
    return page.get_by_role("complementary", name="Selected instance")


def expect_all(page, paths, tone):
    for path in paths:
        expect(box(page, path)).to_have_class(re.compile(rf"\b{tone}\b"))


ALL = [f"/{vm}{inner}" for vm, name in
       (("lb-vm", "lb"), ("web-vm1", "web"), ("web-vm2", "web"), ("data-vm", "data"))
       for inner in ("", f"/{name}")]  # fmt: skip


@pytest.fixture(scope="module")
def shop(running):
    """A fleet with an application that runs and that no test changes."""
    running.deploy()
    return running


def upload(page, name, content):
    page.get_by_role("button", name="Upload a template").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Archive").set_input_files(
        {"name": name, "mimeType": "application/zip", "buffer": content}
    )
    return dialog


def test_an_application_is_deployed_breaks_tells_why_and_is_mended(fleet, page):
    page.goto(fleet.url)
    expect(page.get_by_role("heading", name="No application yet")).to_be_visible()
    page.get_by_role("link", name="See the templates").click()
    dialog = upload(page, "web-cluster.zip", zipped(WEB_CLUSTER))
    expect(dialog).to_contain_text("web-cluster 1.0 is taken in.")

    # Deployed: what will happen is shown before, progress after.
    dialog.get_by_role("button", name="Deploy …").click()
    page.get_by_label("Application", exact=True).fill("shop")
    expect(dialog).to_contain_text("A new application: 8 instances.")
    dialog.get_by_role("button", name="Deploy").click()
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", name="shop")).to_be_visible()
    expect_all(page, ALL, "good")

    # Broken: the dialog knows who will suffer, and so do they.
    box(page, "/data-vm/data").click()
    panel(page).get_by_role("button", name="Stop").click()
    expect(dialog).to_contain_text("loses its last provider of Data")
    expect(dialog).to_contain_text("/lb-vm/lb")
    dialog.get_by_role("button", name="Stop").click()
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    dialog.get_by_role("button", name="Close").click()
    expect_all(page, ["/web-vm1/web", "/web-vm2/web", "/lb-vm/lb"], "wait")

    # Why: down to the root.
    box(page, "/lb-vm/lb").click()
    why = panel(page).get_by_role("listitem").filter(has_text="is wished deployed-stopped")
    expect(why).to_be_visible()
    why.get_by_role("link", name="/data-vm/data").click()
    expect(panel(page).get_by_role("heading", name="/data-vm/data")).to_be_visible()

    # Mended.
    panel(page).get_by_role("button", name="Start").click()
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    page.keyboard.press("Escape")
    expect_all(page, ALL, "good")


def test_a_template_with_a_mistake_shows_the_line_and_a_marker(fleet, page, tmp_path):
    page.goto(f"{fleet.url}/#/templates")
    graph = (WEB_CLUSTER / "graph" / "main.graph").read_text().replace("Data.port;", "Nix.port;")
    broken = zipped(WEB_CLUSTER, [])
    changed = rewritten(broken, "graph/main.graph", graph)

    dialog = upload(page, "broken.zip", changed)

    expect(dialog.get_by_role("alert")).to_be_visible()
    source = dialog.locator("pre").first
    expect(source).to_contain_text("Nix.port")
    expect(source).to_contain_text("^")
    assert fleet.get("/templates").data == []


def rewritten(archive, name, text):
    import io
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            new.writestr(info, text if info.filename == name else old.read(info))
    return made.getvalue()


def test_a_folder_is_uploaded_as_it_is(running, page):
    page.goto(f"{running.url}/#/templates")
    page.get_by_role("button", name="Upload a template").first.click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_label("Folder").set_input_files(WEB_CLUSTER)

    expect(dialog).to_contain_text("web-cluster 1.0 is taken in.")


def test_a_page_that_is_open_survives_a_restart_of_the_coordinator(tmp_path, page):
    # Named at both starts: a port that the kernel chose cannot be had again at once.
    listen = f"127.0.0.1:{kept_port(tmp_path / 'port')}"
    with served(tmp_path / "data", dev=True, listen=listen) as fleet:
        fleet.deploy()
        page.goto(f"{fleet.url}/#/applications/shop")
        expect_all(page, ALL, "good")
    expect(page.get_by_text("Reconnecting …")).to_be_visible()

    with served(tmp_path / "data", dev=True, listen=listen) as fleet:
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        until(lambda: fleet.get("/applications/shop").data["instances"]["settled"] == 8, 60)
        fleet.put(
            "/applications/shop/wanted", {"wanted": "deployed-stopped", "paths": ["/lb-vm/lb"]}
        )
        expect(box(page, "/lb-vm/lb")).to_have_class(re.compile(r"\bidle\b"))


def test_a_page_that_slept_shows_what_happened_meanwhile(running, page):
    running.deploy("slept")
    page.goto(f"{running.url}/#/applications/slept")
    expect_all(page, ALL, "good")

    page.context.set_offline(True)
    expect(page.get_by_text("Reconnecting …")).to_be_visible()
    running.done(
        running.put(
            "/applications/slept/wanted", {"wanted": "deployed-stopped", "paths": ["/lb-vm/lb"]}
        )
    )
    expect_all(page, ["/lb-vm/lb"], "good")
    page.context.set_offline(False)

    expect(box(page, "/lb-vm/lb")).to_have_class(re.compile(r"\bidle\b"))
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_a_laptop_that_wakes_up_asks_anew_instead_of_trusting_a_dead_connection(running, page):
    asked = []
    page.on("request", lambda request: "/api/v1/stream" in request.url and asked.append(request))
    page.clock.install()
    page.goto(running.url)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    before = len(asked)

    # Nothing was read for an hour, and nobody said that the connection ended.
    page.clock.fast_forward("01:00:00")

    until(lambda: page.evaluate("1") and len(asked) > before, 20)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_an_instance_is_added_and_the_picture_grows(running, page):
    running.deploy("grown")
    page.goto(f"{running.url}/#/applications/grown?at=/web-vm1")
    panel(page).get_by_text("More").click()
    panel(page).get_by_role("button", name="Add an instance inside").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Component").select_option("Web")
    dialog.get_by_label("Name").fill("web2")
    expect(dialog).to_contain_text("It needs Data.")

    dialog.get_by_role("button", name="Add", exact=True).click()

    expect(dialog.get_by_role("status").first).to_contain_text("done")
    page.keyboard.press("Escape")
    expect_all(page, ["/web-vm1/web2"], "good")


def test_the_picture_can_be_used_with_keys_alone(shop, page):
    page.goto(f"{shop.url}/#/applications/shop")
    box(page, "/lb-vm").focus()

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")

    expect(panel(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()


def test_the_picture_is_zoomed_moved_and_shown_whole_again(shop, page):
    page.goto(f"{shop.url}/#/applications/shop")
    expect_all(page, ALL, "good")
    first = box(page, "/lb-vm").bounding_box()

    page.get_by_role("button", name="Zoom in").click()
    larger = box(page, "/lb-vm").bounding_box()
    assert larger["width"] > first["width"] * 1.2

    page.mouse.move(900, 350)
    page.mouse.wheel(0, -200)
    assert box(page, "/lb-vm").bounding_box()["width"] > larger["width"] * 1.2

    before = box(page, "/lb-vm").bounding_box()
    page.mouse.down()
    page.mouse.move(960, 390, steps=4)
    page.mouse.up()
    moved = box(page, "/lb-vm").bounding_box()
    assert (moved["x"] - before["x"], moved["y"] - before["y"]) == pytest.approx((60, 40), abs=5)

    page.get_by_role("button", name="Show all").click()
    assert box(page, "/lb-vm").bounding_box() == pytest.approx(first)


def test_the_pages_are_walked_with_keys_alone(running, page):
    page.goto(running.url)
    page.get_by_text("Live", exact=True).wait_for()

    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Upload a template").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose an archive")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_who_may_only_look_is_offered_nothing_else(tmp_path, page):
    with served(tmp_path / "data") as fleet:
        fleet.user("vera", "viewer")
        fleet.deploy()
        page.goto(fleet.url)
        page.get_by_label("User").fill("vera")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in", exact=True).click()
        expect(page.get_by_role("alert").first).to_be_visible()

        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Log in", exact=True).click()
        page.get_by_role("link", name="shop").click()
        box(page, "/lb-vm/lb").click()

        expect(panel(page)).to_contain_text("deployed-started")
        names = page.get_by_role("button").all_inner_texts()
        assert not {"Start all", "Stop all", "Stop", "More"} & set(names)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()


def test_the_first_token_makes_an_admin(tmp_path, page):
    with served(tmp_path / "data") as fleet:
        page.goto(f"{fleet.url}/#/access")
        page.get_by_label("Token").fill(fleet.server.first_token)
        expect(page.get_by_label("Password")).to_be_hidden()
        page.get_by_role("button", name="Log in", exact=True).click()
        name = page.get_by_text("first-start · admin")
        assert name.evaluate("one => one.scrollWidth <= one.clientWidth")
        page.get_by_role("button", name="Add a user").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("anna")
        dialog.get_by_label("Password").fill("correct horse battery")
        dialog.get_by_role("button", name="Add", exact=True).click()

        expect(dialog).to_be_hidden()
        assert fleet.log_in("anna").get("/session").data["role"] == "admin"
        page.reload()
        expect(page.get_by_label("Password")).to_be_visible()


def test_text_of_strangers_stays_text(running, page):
    markup = "<img src=x onerror=alert(1)>"
    descriptor = (WEB_CLUSTER / "descriptor" / "application.properties").read_text()
    descriptor = descriptor.replace("A load balancer", f"{markup} A load balancer")
    archive = rewritten(zipped(WEB_CLUSTER), "descriptor/application.properties", descriptor)
    assert running.upload(archive).data["description"].startswith(markup)

    page.goto(f"{running.url}/#/templates")

    expect(page.get_by_text(markup)).to_be_visible()
    assert page.locator("img").count() == 0


def test_what_an_application_needs_from_another_is_bound(fleet, page, tmp_path):
    for name, offer in (("store", "STORE"), ("other", "OTHER")):
        more = f"exports-prefix = {offer}\nexports = Data.ip as ip\n"
        fleet.deploy(name, one_machine(tmp_path / name, name, "Data", "ip", more=more))
    user = one_machine(tmp_path / "user", "user", "App", imports="external STORE.ip")
    template = fleet.upload(zipped(user)).data["id"]
    fleet.post("/applications", {"template": template, "name": "user"})
    page.goto(f"{fleet.url}/#/bindings")
    row = page.get_by_role("row").filter(has_text="user")
    expect(row).to_contain_text("nobody")

    row.get_by_role("button", name="Change …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("other")).to_have_count(0)
    dialog.get_by_label("store").check()
    expect(dialog).to_contain_text("get what store exports")
    dialog.get_by_role("button", name="Bind").click()

    expect(dialog.get_by_role("status").first).to_contain_text("done")
    page.keyboard.press("Escape")
    expect(row.get_by_role("link", name="store")).to_be_visible()
    page.goto(f"{fleet.url}/#/applications/user?at=/vm/it")
    expect(box(page, "app:store")).to_be_visible()
    expect(panel(page)).to_contain_text("served by 1")


def test_a_target_is_defined_changed_and_deleted(running, page):
    page.goto(f"{running.url}/#/targets")
    page.get_by_role("button", name="Define a target").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Id").fill("bench")
    dialog.get_by_label("Kind").select_option("memory")
    dialog.get_by_label("installers").fill("logger")
    dialog.get_by_role("button", name="Define").click()
    row = page.get_by_role("row").filter(has_text="bench")
    expect(row).to_contain_text("installers = logger")

    row.get_by_role("button", name="Edit …").click()
    expect(dialog.get_by_label("Description")).to_be_visible()
    running.put("/targets/bench", {"handler": "memory", "description": "somebody was faster"})
    dialog.get_by_label("Description").fill("too late")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Somebody edited it meanwhile")
    page.keyboard.press("Escape")

    row.get_by_role("button", name="Delete bench").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_what_no_node_can_run_is_refused_in_the_dialog_and_can_be_simulated(fleet, page):
    fleet.put("/targets/bench", {"handler": "memory", "properties": {"installers": "logger"}})
    page.goto(f"{fleet.url}/#/templates")
    dialog = upload(page, "web-cluster.zip", zipped(WEB_CLUSTER))
    dialog.get_by_role("button", name="Deploy …").click()
    page.get_by_label("Application", exact=True).fill("tried")
    dialog.get_by_label("Target").select_option("bench")
    expect(dialog).to_contain_text("its node has no installer 'script', only: logger")

    dialog.get_by_label("Simulate").check()
    expect(dialog).to_contain_text("A new application")
    dialog.get_by_role("button", name="Deploy").click()
    expect(dialog.get_by_role("status").first).to_contain_text("done")
    page.keyboard.press("Escape")

    expect(page.get_by_text("simulated: no recipe runs")).to_be_visible()


def test_events_are_filtered_and_come_by_themselves(fleet, page):
    fleet.deploy()
    page.goto(f"{fleet.url}/#/events")
    expect(page.get_by_role("row").filter(has_text="deploy web-cluster 1.0: done")).to_be_visible()

    page.get_by_label("Kind").select_option("node")
    expect(page.get_by_role("row").filter(has_text="deploy web-cluster")).to_have_count(0)
    page.get_by_label("Kind").select_option("change")
    body = {"wanted": "deployed-stopped", "paths": ["/lb-vm/lb"]}
    fleet.done(fleet.put("/applications/shop/wanted", body))

    expect(page.get_by_role("row").filter(has_text="stop /lb-vm/lb: done")).to_be_visible()
