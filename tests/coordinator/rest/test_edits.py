"""What two people edit at the same time: the slower one is told, and overwrites nothing."""

import pytest

from support.rest import served


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with served(tmp_path_factory.mktemp("fleet"), dev=True) as fleet:
        fleet.template = fleet.deploy()
        fleet.done(fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"}))
        yield fleet


#: Where it is read → where and how it is edited, twice in different ways.
EDITED = {
    "/applications/shop/bindings": [
        ("PUT", "/applications/shop/bindings/DB", {"applications": []}),
        ("DELETE", "/applications/shop/bindings/Other", None),
    ],
    "/applications/shop/targets": [
        ("PUT", "/applications/shop/targets", {"element": "", "target": "memory"}),
        ("PUT", "/applications/shop/targets", {"element": "@VM", "target": "memory"}),
    ],
    "/templates/TEMPLATE/targets": [
        ("PUT", "/templates/TEMPLATE/targets", {"element": "", "target": "memory"}),
        ("PUT", "/templates/TEMPLATE/targets", {"element": "@VM", "target": "memory"}),
    ],
    "/applications/shop": [
        ("PATCH", "/applications/shop", {"description": "one"}),
        ("PATCH", "/applications/shop", {"description": "two"}),
    ],
}


@pytest.mark.parametrize("where", EDITED)
def test_edit_of_what_somebody_else_edited_is_refused(fleet, where):
    def at(path):
        return path.replace("TEMPLATE", fleet.template)

    seen = fleet.get(at(where)).headers["etag"]
    (method, path, body), (late_method, late_path, late_body) = EDITED[where]
    assert fleet.ask(method, at(path), body, If_Match=seen).status < 300
    after = fleet.get(at(where))

    late = fleet.ask(late_method, at(late_path), late_body, If_Match=seen)

    assert (late.status, late.error["code"]) == (412, "changed")
    assert fleet.get(at(where)).data == after.data
    assert after.headers["etag"] != seen
