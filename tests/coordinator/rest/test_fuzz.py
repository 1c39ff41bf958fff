"""Whatever the description allows, and what it does not: never a fault of the server.

Requests are made by schemathesis from the OpenAPI document that is served, a few for each route;
`FIELDCONF_FUZZ=200` makes it go on for longer.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

from fieldconf_coordinator.rest.openapi import describe
from fieldconf_coordinator.rest.table import ROUTES
from support.rest import served

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
_EXAMPLES = int(os.environ.get("FIELDCONF_FUZZ", "6"))
# The first has no end; the second is what the fleet of this test lives from.
_LEFT_OUT = "/api/v1/stream"

_CHECKS = [
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(describe(ROUTES))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with served(tmp_path_factory.mktemp("fleet"), dev=True) as fleet:
        fleet.template = fleet.deploy("shop")
        yield fleet


def known(fleet):
    """Return names of what there is: random ones would never get far."""
    return {"app": "shop", "path": "web-vm1/web", "template": fleet.template, "change": "1"}


@schema.exclude(path=_LEFT_OUT).parametrize()
@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_the_server_fail(case, fleet):
    for name, value in known(fleet).items():
        # Every second one, so that both ways are gone.
        if name in case.path_parameters and len(str(case.path_parameters[name])) % 2:
            case.path_parameters[name] = value

    response = case.call(base_url=fleet.url, timeout=20)

    assert response.status_code < 500, response.text
    case.validate_response(response, checks=_CHECKS)
