"""Stories of a whole fleet on virtual time: a real coordinator core and real agent cores."""

import pytest

from fieldconf_coordinator.errors import FleetError
from fieldconf_microagent import states, topics
from support.simulation import new_world
from support.templates import template
from support.world import DOMAIN

DIGESTS = {"Web": b"w" * 32, "Data": b"d" * 32, "Balancer": b"b" * 32}


@pytest.fixture
def shop():
    return deployed(lost_after="2s")


def deployed(seed=0, **settings):
    tpl = template(**settings)
    coordinator = new_world(seed, {"shop-1": tpl})
    coordinator.world.run(100)
    coordinator.request("deploy", tpl, "shop-1", DIGESTS, "shop")
    assert coordinator.world.run_until(coordinator.settled, 60_000), coordinator.instances()
    return coordinator


def test_everything_is_deployed_and_the_balancer_knows_every_web_server(shop):
    lb = shop.machine("/lb-vm/lb")

    assert lb.steps[-1]["imports"]["Web"] and len(lb.steps[-1]["imports"]["Web"]) == 2
    ports = {values["port"] for _, values in lb.steps[-1]["imports"]["Web"]}
    assert len(ports) == 2
    assert shop.fleet.why("shop", "/lb-vm/lb") == []


def test_stopping_the_data_service_stops_the_web_servers_and_its_return_starts_them(shop):
    shop.request("set_wish", "shop", "/data-vm/data", states.STOPPED)
    shop.world.run(5000)
    assert shop.state("/web-vm1/web") == states.UNRESOLVED
    assert shop.state("/web-vm1/web/page") == states.WAITING
    assert shop.state("/lb-vm/lb") == states.UNRESOLVED
    reasons = shop.fleet.why("shop", "/lb-vm/lb")
    assert reasons[0]["path"] == "/lb-vm/lb"
    assert reasons[-1]["path"] == "/data-vm/data"

    shop.request("set_wish", "shop", "/data-vm/data", states.STARTED)
    assert shop.world.run_until(shop.settled, 10_000)


def test_a_web_server_added_at_run_time_reaches_the_balancer_by_update(shop):
    shop.request("scale", "shop", "/web-vm1", 3)
    assert shop.world.run_until(shop.settled, 20_000), shop.instances()

    last = [r for r in shop.machine("/lb-vm/lb").steps if r["step"] != "check"][-1]
    assert last["step"] == "update"
    assert len(last["imports"]["Web"]) == 3


def test_a_killed_node_is_dropped_after_lost_after(shop):
    lb = shop.machine("/lb-vm/lb")
    shop.machine("/web-vm1/web").kill(services=True)
    shop.world.run(1500)
    assert [r["step"] for r in lb.steps if r["step"] == "update"] == lb.ran("/lb-vm/lb")[2:]
    count = len(lb.ran())
    shop.world.run(1500)

    assert lb.ran()[count:] == ["/lb-vm/lb update"]
    assert len(lb.steps[-1]["imports"]["Web"]) == 1


def test_a_coordinator_that_dies_in_the_middle_goes_on():
    for die in range(12):
        tpl = template(lost_after="2s")
        shop = new_world(die, {"shop-1": tpl})
        shop.world.run(100)
        shop.request("deploy", tpl, "shop-1", DIGESTS, "shop")
        shop.die_before = die if die % 2 else None
        shop.die_after = None if die % 2 else die
        shop.world.run(3000)
        if shop.fleet is None:
            shop.start()
        assert shop.world.run_until(shop.settled, 90_000), (die, shop.instances())


def test_nothing_is_left_after_undeploying(shop):
    shop.request("set_wish", "shop", None, states.NOT_DEPLOYED)
    shop.world.run_until(lambda: not shop.machines, 120_000)
    shop.world.run(5000)

    assert shop.machines == {}
    assert shop.world.broker.retained == {}
    assert {i["state"] for i in shop.instances().values()} == {states.NOT_DEPLOYED}

    shop.request("set_wish", "shop", None, states.STARTED)
    assert shop.world.run_until(shop.settled, 60_000)


def test_a_coordinator_whose_disk_went_back_in_time_takes_the_lead_again(shop):
    import copy

    rows = copy.deepcopy(shop.rows)
    shop.request("set_wish", "shop", "/data-vm/data", states.STOPPED)
    shop.world.run(5000)
    shop.kill()
    shop.rows = rows
    shop.start()
    shop.world.run(5000)

    assert shop.world.run_until(shop.settled, 60_000), shop.instances()


def test_everything_heals_with_a_broker_that_forgot(shop):
    shop.world.broker.stop(wipe=True)
    shop.world.run(3000)
    shop.world.broker.running = True
    shop.world.run(30_000)

    for machine in shop.machines.values():
        assert topics.have(DOMAIN, machine.node) in shop.world.broker.retained
    assert shop.settled()


def test_a_new_version_adds_removes_and_upgrades(shop):
    from support.templates import SHOP, SHOP_INSTANCES

    newer = template(
        SHOP, SHOP_INSTANCES.replace("count: 2;", "count: 3;"), version="1.1", lost_after="2s"
    )
    shop.templates["shop-2"] = newer
    digests = dict(DIGESTS, Web=b"W" * 32)
    shop.request("deploy", newer, "shop-2", digests, "shop")
    assert shop.world.run_until(shop.settled, 60_000), shop.instances()

    web = shop.machine("/web-vm1/web")
    assert "upgrade" in web.ran("/web-vm1/web")
    assert "/web-vm3/web" in shop.instances()


def test_what_is_refused_changes_nothing(shop):
    before = {table: dict(rows) for table, rows in shop.rows.items()}
    with pytest.raises(FleetError) as caught:
        shop.request("set_wish", "shop", "/nowhere", states.STOPPED)

    assert caught.value.hint
    assert shop.rows == before
