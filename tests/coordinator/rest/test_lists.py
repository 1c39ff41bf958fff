"""What lists can be asked for: filters that pages and programs need."""

import pytest

from support.rest import served


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with served(tmp_path_factory.mktemp("fleet"), dev=True) as fleet:
        fleet.deploy()
        for path in ("/web-vm1", "/web-vm2"):
            body = {"wanted": "not-deployed", "paths": [path]}
            fleet.done(fleet.put("/applications/shop/wanted", body))
        yield fleet


def test_events_of_an_instance_are_those_of_it_and_below_it(fleet):
    def paths(path):
        return {one["path"] for one in fleet.get(f"/events?application=shop&path={path}").data}

    assert paths("/web-vm1") == {"/web-vm1"}
    assert paths("/web-vm") == set()
    assert paths("/nothing") == set()


def test_providers_are_listed_beyond_those_that_an_instance_names(fleet):
    def exporters(prefix):
        found = fleet.get(f"/applications/shop/instances?exports={prefix}").data
        return [one["path"] for one in found]

    assert exporters("Web") == ["/web-vm1/web", "/web-vm2/web"]
    assert exporters("Nothing") == []


def test_application_tells_what_it_offers_and_needs(fleet):
    found = fleet.get("/applications/shop").data

    assert (found["exports_prefix"], found["external"]) == (None, [])
