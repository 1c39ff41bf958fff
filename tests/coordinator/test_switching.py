"""Another broker than the last time is refused where nodes would not come back."""

import logging

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.brokers.mosquitto import Mosquitto
from fieldconf_coordinator.brokers.supervised import Broker, BrokerError
from fieldconf_coordinator.service import running
from support.rest import WEB_CLUSTER


class Other(Broker):
    """A broker that is not there, which nobody finds out here."""

    def __init__(self, label):
        super().__init__(label if "://" in label else "mqtt://127.0.0.1:1")
        self._label = label

    @property
    def label(self):
        return self._label


MOSQUITTO, EMBEDDED, FAR = Mosquitto.name, EmbeddedBroker.name, "mqtt://hub:1883"


@pytest.fixture
def switched(tmp_path):
    """Switch from one broker to another one while four nodes of a target are there."""

    def switched(before, now, target):
        with running.coordinator(tmp_path, lambda _: Other(before)) as service:
            kept = service.keep(WEB_CLUSTER)
            service.fleet.deploy(0, kept.template, kept.ref, kept.digests, "shop", target)
            # It never runs, so that no machine is made.
            service.store.commit(service.fleet.take())
        with running.coordinator(tmp_path, lambda _: Other(now)):
            pass

    return switched


@pytest.mark.parametrize(
    ("before", "now", "how"),
    [
        (EMBEDDED, MOSQUITTO, "without --mosquitto"),
        (EMBEDDED, FAR, "without --mosquitto"),
        (MOSQUITTO, FAR, "with --mosquitto"),
    ],
)
def test_broker_that_nodes_cannot_reach_is_refused(switched, before, now, how):
    with pytest.raises(BrokerError) as caught:
        switched(before, now, "local")

    assert str(caught.value) == (
        f"cannot use {now}: 4 nodes of this fleet can reach {before} only. Run 'fieldconf up' "
        f"{how} and without --broker, undeploy what there is, then change"
    )


@pytest.mark.parametrize(("before", "now"), [(EMBEDDED, EMBEDDED), (MOSQUITTO, EMBEDDED)])
def test_broker_that_nodes_reach_is_used(switched, caplog, before, now):
    switched(before, now, "local")

    assert "do they reach" not in caplog.text


def test_brokers_of_others_are_warned_of(switched, caplog):
    with caplog.at_level(logging.WARNING):
        switched(FAR, "mqtt://hub:1884", "local")

    assert "4 nodes of this fleet were made for the broker mqtt://hub:1883" in caplog.text


def test_without_nodes_that_live_on_every_broker_will_do(switched):
    switched(EMBEDDED, MOSQUITTO, "memory")
