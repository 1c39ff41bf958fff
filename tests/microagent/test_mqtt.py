"""Our MQTT client with real brokers, on both Pythons; the stories are in `mqtt_stories`."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from fieldconf_coordinator.brokers.mosquitto import Mosquitto
from fieldconf_microagent.mqtt import Client
from support import brokers, interpreters, waiting

FILE = Path(__file__).with_name("mqtt_stories.py")
SPEC = importlib.util.spec_from_file_location("mqtt_stories", FILE)
stories = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(stories)

NAMES = sorted(name for name in vars(stories) if name.startswith("test_"))


@pytest.fixture(params=["embedded", "mosquitto"], scope="module")
def broker(request, tmp_path_factory):
    with brokers.running(request.param, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.mark.parametrize("name", NAMES)
def test_story(name, broker):
    getattr(stories, name)(broker.port)


def test_stories_under_micropython(broker):
    output = interpreters.run_micropython(
        interpreters.RUN_PLAIN, interpreters.PACKAGES, FILE, broker.port
    )

    assert output.strip().endswith(f"{len(NAMES)} passed")


def test_frozen_broker_is_noticed(tmp_path):
    with brokers.running("mosquitto", tmp_path) as broker:
        client = Client("127.0.0.1", broker.port, "c1", 1)
        client.connect()
        waiting.until(lambda: ("connected",) in client.poll(10))
        # Its sockets stay open, and the kernel goes on acknowledging what arrives.
        os.kill(broker._process.pid, signal.SIGSTOP)
        try:
            assert waiting.until(lambda: client.poll(10)) == [("closed", "no answer")]
        finally:
            os.kill(broker._process.pid, signal.SIGCONT)


def test_login_is_checked_by_the_broker(tmp_path):
    brokers.need_mosquitto()
    broker = Mosquitto(tmp_path)
    broker.admit([("n1", "secret")])
    broker.start()
    try:
        answers = []
        for password in ("secret", b"secret", "wrong"):
            client = Client("127.0.0.1", broker.port, "c1", 5, "n1", password)
            client.connect()
            answers.append(waiting.until(lambda asked=client: asked.poll(10)))
            client.disconnect()
    finally:
        broker.stop()

    assert answers == [
        [("connected",)],
        [("connected",)],
        [("closed", "refused by the broker, code 5")],
    ]
