"""The console's pure modules, run in the browser without a coordinator's data."""

import io
import tarfile

import pytest

from support import browser as browsers

VM = {"name": "VM", "installer": "target", "exports": [], "imports": [], "children": []}


def kind(name, exports=(), imports=(), installer="script"):
    wanted = [
        {"prefix": one.rstrip("?"), "mandatory": not one.endswith("?"), "external": False}
        for one in imports
    ]
    return {
        "name": name,
        "installer": installer,
        "exports": list(exports),
        "imports": wanted,
        "children": [],
    }


KINDS = [
    VM,
    kind("Lb", imports=["Web"]),
    kind("Web", ["Web"], ["Data", "Cache?"]),
    kind("Data", ["Data"]),
    kind("Cache", ["Cache"]),
]


@pytest.fixture(scope="module")
def run(running, browser):
    """Run a function of a module with arguments, as a page would."""
    with browsers.page(browser) as page:
        page.goto(running.url)

        def run(module, expression, *arguments):
            code = (
                f"async (given) => {{ const m = await import('/console/{module}'); {expression} }}"
            )
            return page.evaluate(code, list(arguments))

        yield run


# -- layout


def node(path, component, *children):
    name = path.rpartition("/")[2]
    under = len(component) + 19
    return {
        "path": path,
        "name": name,
        "component": component,
        "under": under,
        "children": list(children),
    }


def machine(name, component):
    return node(f"/{name}", "VM", node(f"/{name}/it", component))


def layout(run, roots, flow="right"):
    code = "return m.layout(given[0], new Map(given[1].map((k) => [k.name, k])), given[2]);"
    return run("graph/layout.js", code, roots, KINDS, flow)


def boxes(plan):
    return {box["path"]: box for box in plan["boxes"]}


def overlaps(a, b):
    apart = (
        a["x"] + a["w"] <= b["x"]
        or b["x"] + b["w"] <= a["x"]
        or a["y"] + a["h"] <= b["y"]
        or b["y"] + b["h"] <= a["y"]
    )
    return not apart


def inside(inner, outer):
    return (
        outer["x"] <= inner["x"]
        and outer["y"] <= inner["y"]
        and inner["x"] + inner["w"] <= outer["x"] + outer["w"]
        and inner["y"] + inner["h"] <= outer["y"] + outer["h"]
    )


FEW = [machine("d", "Data"), machine("w1", "Web"), machine("w2", "Web"), machine("l", "Lb")]


@pytest.mark.parametrize("flow", ["right", "down"])
def test_boxes_stand_in_their_parents_and_beside_their_siblings(run, flow):
    many = [machine(f"w{number}", "Web") for number in range(120)]
    found = boxes(layout(run, [*FEW[:1], *many, machine("l", "Lb"), machine("c", "Cache")], flow))

    assert len(found) == 246
    roots = [box for path, box in found.items() if path.count("/") == 1]
    assert all(inside(found[f"{path}/it"], box) for path, box in found.items() if path[-2:] != "it")
    assert not any(overlaps(a, b) for i, a in enumerate(roots) for b in roots[i + 1 :])


def test_who_imports_stands_left_of_who_exports(run):
    found = boxes(layout(run, FEW))

    assert found["/l"]["x"] + found["/l"]["w"] < found["/w1"]["x"]
    assert found["/w1"]["x"] == found["/w2"]["x"]
    assert found["/w1"]["x"] + found["/w1"]["w"] < found["/d"]["x"]


def test_on_a_phone_who_imports_stands_above(run):
    found = boxes(layout(run, FEW, "down"))

    assert found["/l"]["y"] + found["/l"]["h"] < found["/w1"]["y"]
    assert found["/w1"]["y"] + found["/w1"]["h"] < found["/d"]["y"]


def test_many_of_one_form_become_one_block(run):
    plan = layout(run, [machine("d", "Data"), *[machine(f"w{n}", "Web") for n in range(249)]])

    assert [frame["label"] for frame in plan["groups"]] == ["249 × VM with Web"]
    assert plan["width"] < 3 * plan["height"] and plan["height"] < 3 * plan["width"]


def test_a_cycle_of_imports_is_laid_out_all_the_same(run):
    ring = [kind("A", ["A"], ["B"]), kind("B", ["B"], ["A"])]
    code = "return m.layout(given[0], new Map(given[1].map((k) => [k.name, k])), 'right');"

    plan = run("graph/layout.js", code, [node("/a", "A"), node("/b", "B")], ring)

    assert set(boxes(plan)) == {"/a", "/b"}


def test_an_empty_forest_is_an_empty_plan(run):
    assert layout(run, [])["boxes"] == []


# -- what will happen


def in_words(run, **found):
    empty = {"instances": [], "unresolved": [], "resolved": [], "given_back": [], "made": []}
    given = {"application": "shop", **empty, **found}
    return [tuple(row) for row in run("foreseen.js", "return m.inWords(given[0]);", given)]


def row(path, before, after):
    return {"path": path, "from": before, "to": after}


def test_what_the_coordinator_foresees_is_said_once_for_each_instance(run):
    found = in_words(
        run,
        instances=[
            row("/vm", "deployed-started", "not-deployed"),
            row("/vm2", None, "deployed-started"),
            row("/web", "not-deployed", "removed"),
        ],
        given_back=[{"node": "n1", "path": "/vm"}],
        made=["/vm2"],
        resolved=[{"application": "shop", "path": "/lb"}],
    )

    assert found == [
        ("/vm", "is undeployed; its node n1 is emptied and given back"),
        ("/vm2", "is added and starts; gets a node"),
        ("/web", "leaves the application"),
        ("/lb", "gets what it waits for"),
    ]


def test_who_loses_a_provider_and_who_has_none_yet_are_told_apart(run):
    found = in_words(
        run,
        instances=[row("/new", "deployed-stopped", "deployed-started")],
        unresolved=[
            {"application": "shop", "path": "/new", "prefix": "Data"},
            {"application": "shop", "path": "/web", "prefix": "Data"},
            {"application": "other", "path": "/new", "prefix": "Data"},
            {"application": "shop", "path": "/web/in", "prefix": ""},
        ],
    )

    lost = "loses its last provider of Data: stops until one is back"
    assert found == [
        ("/new", "starts; waits until somebody serves Data"),
        ("/web", lost),
        ("other: /new", lost),
        ("/web/in", "waits for what is around it"),
    ]


# -- stream, store, tar, routes


def test_a_stream_is_read_however_it_is_cut(run):
    stream = "id: a-1-2\nevent: state\ndata: {}\n\n: here\n\ndata: one\ndata: two\n\n"
    code = """return [1, 2, 7, 1000].map((size) => {
        const parser = new m.Parser(), found = [];
        for (let at = 0; at < given[0].length; at += size)
            found.push(...parser.push(given[0].slice(at, at + size)));
        return found;
    });"""

    for found in run("live.js", code, stream):
        assert found == [
            {"id": "a-1-2", "event": "state", "data": "{}"},
            {"id": "a-1-2", "event": "message", "data": "one\ntwo"},
        ]


def test_a_snapshot_shows_only_when_it_is_whole(run):
    code = """const store = new m.Store();
        const row = (id) => ({kind: "node", id, application: "shop", online: true});
        store.take("snapshot", {part: 1, parts: 2, rows: [row("a")]});
        const half = [store.isComplete, store.nodes.size];
        store.take("snapshot", {part: 2, parts: 2, rows: [row("b")]});
        store.take("state", {rows: [{kind: "application", name: "shop", gone: true}]});
        return [half, store.isComplete, store.nodes.size];"""

    assert run("store.js", code) == [[False, 0], True, 0]


def test_a_folder_becomes_a_tar_that_others_read(run):
    long = "a/" * 60 + "deep.txt"
    files = {"descriptor/application.properties": "name = é\n", long: "x" * 700, "empty": ""}
    code = """const encode = (text) => new TextEncoder().encode(text);
        const files = Object.entries(given[0]).map(([path, text]) => ({path, bytes: encode(text)}));
        return Array.from(new Uint8Array(await new Blob(m.tar(files)).arrayBuffer()));"""

    made = bytes(run("tar.js", code, files))

    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        found = {one.name: archive.extractfile(one).read().decode() for one in archive}
    assert found == files


def test_a_route_of_odd_names_is_read_back(run):
    code = "return m.parse(m.to('applications', ['a/b ü?#'], {at: '/x y/&z'}));"

    assert run("router.js", code) == {
        "page": "applications",
        "names": ["a/b ü?#"],
        "query": {"at": "/x y/&z"},
    }


def test_an_upload_tells_how_far_it_is_and_what_was_refused(run):
    code = """const shares = [];
        const refused = await m.upload("/templates", new Blob([new Uint8Array(3000000)]),
            "application/zip", (share) => shares.push(share)).catch((error) => error);
        return [shares.at(-1), refused.status, refused.message];"""

    share, status, message = run("api.js", code)

    assert (share, status) == (1, 422)
    assert message
