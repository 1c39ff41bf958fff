"""What no node could run is refused in words before anything changes; simulations run anywhere."""

import pytest

from fieldconf_coordinator.core import sizes
from fieldconf_coordinator.core.fleet import FleetError
from fieldconf_coordinator.core.sizes import LARGEST_WANT
from fieldconf_dsl import model
from fieldconf_microagent import codec, wants
from support.desk import Desk, component, template

LACK = "needs puppet: install the package puppet-agent"


def offers_of(handler, properties):
    """Tell what the targets of these tests offer: `memory` scripts, `far` nobody knows."""
    if handler == "far":
        return None
    return {"script": "", "logger": "", "puppet": LACK, **{properties.get("with", "script"): ""}}


@pytest.fixture
def desk():
    desk = Desk(offers_of=offers_of)
    desk.start()
    return desk


def shop(installer="script", data=None, **exports):
    """Return a template of one component, on one node."""
    kinds = [
        component("VM", "target", children=["Web"]),
        component("Web", installer, exports=list(exports), ancestors=["VM"]),
    ]
    full = {f"Web.{name}": value for name, value in exports.items()}
    return template(kinds, [("/vm", "VM", {}, data or {}), ("/vm/web", "Web", full)])


def refused(desk, call, *arguments, **more):
    """Return the refusal of a call, which must leave no trace."""
    before = repr(desk.fleet.status())
    with pytest.raises(FleetError) as caught:
        call(*arguments, **more)
    assert repr(desk.fleet.status()) == before
    return caught.value


# -- installers


@pytest.mark.parametrize(
    ("installer", "said"),
    [
        ("puppet", f"cannot run /vm/web (Web): the installer 'puppet' {LACK}"),
        (
            "chef",
            "cannot run /vm/web (Web): its node has no installer 'chef', only: logger, script",
        ),
    ],
)
def test_an_installer_that_the_target_lacks_is_refused_in_plan_and_deployment(
    desk, installer, said
):
    for refusal in (
        refused(desk, desk.fleet.plan, shop(installer), {}, "shop"),
        refused(desk, desk.deploy, shop(installer)),
    ):
        assert refusal.code == "no-installer"
        assert refusal.message == said
        assert "--simulate" in refusal.hint


def test_installers_may_be_written_in_any_case(desk):
    desk.deploy(shop("Script"))

    assert desk.want("/vm")["i"][1]["t"] == "script"


def test_what_a_target_offers_depends_on_the_node(desk):
    desk.deploy(shop("puppet", data={"with": "puppet"}))

    assert desk.want("/vm")["i"][1]["t"] == "puppet"


def test_where_nobody_knows_the_agent_decides(desk):
    desk.deploy(shop("chef"), target="far")

    assert desk.want("/vm")["i"][1]["t"] == "chef"


def test_what_a_node_has_told_counts_more_than_its_target(desk):
    desk.deploy(shop())
    desk.settle()
    node = desk.node("/vm")
    node.info = ("1", "linux", ("logger",), False, None, None)

    refusal = refused(desk, desk.deploy, shop("puppet"))
    assert refusal.message == (
        "cannot run /vm/web (Web): its node has no installer 'puppet', only: logger"
    )
    node.info = ("1", "linux", ("puppet",), False, None, None)
    desk.deploy(shop("puppet"))


def test_what_is_not_to_be_deployed_is_not_refused(desk):
    one = shop("puppet")
    instances = [
        model.Instance(i.name, i.component, i.path, state="NOT_DEPLOYED") for i in one.instances
    ]
    desk.deploy(model.Template(one.name, one.version, one.graph, tuple(instances)))


def test_an_instance_that_is_added_is_refused_too(desk):
    desk.deploy(shop())
    desk.node("/vm").info = ("1", "linux", ("logger",), False, None, None)

    refusal = refused(desk, desk.fleet.add_instance, desk.now, "shop", "/vm", "more", "Web")

    assert refusal.message.startswith("cannot run /vm/more (Web): ")


# -- size


def test_a_want_that_no_agent_takes_is_refused(desk):
    big = shop(text="x" * (1 << 20))

    for refusal in (
        refused(desk, desk.fleet.plan, big, {}, "shop"),
        refused(desk, desk.deploy, big),
    ):
        assert refusal.code == "too-large"
        assert "what /vm should run cannot be told to its agent: it takes some 1024 KiB" in str(
            refusal
        )


def test_a_want_that_is_let_pass_is_one_that_agents_take(desk):
    """The estimate is never below the truth, and not far above it."""
    text = "ä" * ((LARGEST_WANT - 1200) // 2)
    desk.deploy(shop(text=text))

    want = desk.want("/vm")
    packed = codec.pack(want)
    assert wants.read(packed, codec.MAX_BYTES)["i"][1]["x"] == {"Web.text": text}
    assert LARGEST_WANT - 1500 < len(packed) < LARGEST_WANT


def test_a_want_that_its_node_would_not_take_is_refused(desk):
    desk.deploy(shop())
    desk.settle()
    desk.node("/vm").info = ("1", "esp32", ("script",), False, None, 4096)

    refusal = refused(desk, desk.fleet.plan, shop(text="x" * 4000), {}, "shop")

    told = f"cannot be told to the agent of {desk.node('/vm').id}: it takes some 4."
    assert refusal.code == "too-large" and told in refusal.message
    assert "3.8 KiB with 99000 items are the most" in refusal.message
    desk.deploy(shop(text="x" * 3000))


def test_many_providers_count(desk):
    """An importer is told each of them; none of the nodes alone is large."""
    kinds = [
        component("VM", "target", children=["Web", "Lb"]),
        component("Web", exports=["ip"], ancestors=["VM"]),
        component("Lb", imports=["Web.ip"], ancestors=["VM"]),
    ]

    def town(count):
        webs = [(f"/vm{i}", "VM") for i in range(count)]
        webs += [(f"/vm{i}/web", "Web") for i in range(count)]
        return template(kinds, [("/lb", "VM"), ("/lb/lb", "Lb"), *webs])

    assert "what /lb should run" in str(refused(desk, desk.fleet.plan, town(40_000), {}, "shop"))
    desk.deploy(town(1000))
    # Wants go out a few at a time.
    desk.pass_time(1000)
    assert len(codec.pack(desk.want("/lb"))) < 1000 * 40


def test_number_of_items_counts_as_well_as_their_bytes(desk):
    """Agents bound both: a want of very many short values is let pass if they take it."""
    names = [f"v{i}" for i in range(60_000)]
    desk.deploy(shop(**dict.fromkeys(names, "1")))
    wants.read(codec.pack(desk.want("/vm")), codec.MAX_BYTES)

    names += [f"w{i}" for i in range(39_999)]
    assert refused(desk, desk.deploy, shop(**dict.fromkeys(names, "1"))).code == "too-large"


def test_number_of_providers_counts_as_well_as_their_bytes():
    size, items = sizes._PROVIDER
    provider = ["a" * 8, "Web", "n" * 10]

    assert len(codec.pack(provider)) <= size + len("Web")
    assert items == 1 + len(provider)


# -- simulations


def test_a_simulation_may_have_any_installer_and_its_wants_say_so(desk):
    assert desk.fleet.plan(shop("chef"), {}, "shop", simulate=True)["new"]
    desk.deploy(shop("chef"), simulate=True)

    _root, web = desk.want("/vm")["i"]
    assert web["o"] == {"simulate": 1}
    assert desk.fleet.status()["applications"][0]["simulate"] is True
    wants.read(codec.pack(desk.want("/vm")), codec.MAX_BYTES)


def test_a_simulation_stays_one_over_restarts_and_new_versions(desk):
    desk.deploy(shop("chef"), simulate=True)
    desk.restart()
    desk.deploy(shop("puppet"))

    (app,) = desk.fleet.world.applications.values()
    assert app.simulate
    assert desk.want("/vm")["i"][1]["o"] == {"simulate": 1}


def test_what_is_real_does_not_become_a_simulation(desk):
    desk.deploy(shop())

    refusal = refused(desk, desk.deploy, shop(), simulate=True)

    assert refusal.message == "shop is there for real and cannot become a simulation"
    assert "o" not in desk.want("/vm")["i"][1]


def test_a_node_that_simulates_takes_any_installer_and_is_shown(desk):
    desk.deploy(shop())
    desk.node("/vm").info = ("1", "linux", ("logger",), True, None, None)

    desk.deploy(shop("chef"))

    assert desk.fleet.status()["nodes"][0]["simulates"] is True
