"""Completion as the shells themselves do it: keys go in, a completed command line comes out."""

import pytest

from support.rest import served
from support.shells import SET_UP, Shell


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with served(folder) as fleet:
        fleet.folder = folder
        fleet.deploy()
        yield fleet


@pytest.mark.parametrize("name", sorted(SET_UP))
def test_shell_completes_commands_applications_instances_and_nodes(tmp_path, shop, name):
    node = shop.get("/nodes").data[0]["id"]
    with Shell(name, tmp_path, FIELDCONF_DATA=str(shop.folder)) as shell:
        shell.ready(SET_UP[name])

        assert shell.called("fieldconf und\t") == "undeploy"
        assert shell.called("fieldconf status s\t") == "status shop"
        assert shell.called("fieldconf why --app s\t /lb-vm/\t") == "why --app shop /lb-vm/lb"
        assert shell.called(f"fieldconf nodes tag {node[:6]}\t +x") == f"nodes tag {node} +x"
