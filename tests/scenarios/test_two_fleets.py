"""Two fleets on one domain of a broker: the second says so and does not lead."""

import pytest

from fieldconf_coordinator.brokers.supervised import Broker
from fieldconf_microagent import states
from support import brokers
from support.box import Box
from support.commands import fieldconf
from support.coordinators import coordinator
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
def test_another_fleet_does_not_lead_a_domain_that_is_led(kind, tmp_path):
    with brokers.running(kind, tmp_path / "outside") as broker:
        (tmp_path / "first").mkdir()
        box = Box(tmp_path / "first", "--broker", broker.url)
        try:
            box.up()
            box.deploy()
            box.until_state("/web-vm/web", states.STARTED)
            first = box.ask("status")["fleet"]

            status, out, err = fieldconf(tmp_path / "second", "up", "--broker", broker.url)
            assert status == 2
            assert f"fleet {first} leads the domain 'fc'" in err
            assert "--domain" in err
            assert "Traceback" not in out + err

            box.kill()
            status, _, err = fieldconf(tmp_path / "second", "up", "--broker", broker.url)
            assert (status, first in err) == (2, True)
            box.up()
            until(lambda: box.ask("status")["broker"]["connected"], 60)
            box.wish("/data-vm/data", states.STOPPED)
            box.until_state("/web-vm/web", states.UNRESOLVED)

            assert fieldconf(box.data, "undeploy")[0] == 0
            until(lambda: box.ask("status")["nodes"] == [], 60)
            box.down()
            with coordinator(tmp_path / "second", lambda folder: Broker(broker.url)) as second:
                until(lambda: second.ask("status")["broker"]["connected"], 60)
        finally:
            box.close()
