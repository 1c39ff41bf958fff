"""Our MQTT client holds out: many messages, many restarts of the broker, under MicroPython.

``FIELDCONF_ENDURANCE=200000,100`` runs as many messages and restarts; less by default.
"""

import os
import subprocess

from support import brokers, interpreters

MESSAGES, RESTARTS = map(int, os.environ.get("FIELDCONF_ENDURANCE", "20000,10").split(","))
SCRIPT = interpreters.ROOT / "tests/microagent/mqtt_endurance.py"
#: Of the heap: what a list or a buffer may happen to be longer by.
SLACK = 2048


def test_many_messages_and_restarts_of_the_broker_leave_no_trace(tmp_path):
    command = [interpreters.find("micropython"), "-X", "heapsize=256K", SCRIPT]
    with brokers.running("mosquitto", tmp_path) as broker:
        command += [interpreters.PACKAGES, broker.port, MESSAGES, RESTARTS]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        try:
            for line in process.stdout:
                if line.strip() == "restart":
                    broker.stop()
                    broker.start()
                else:
                    break
        finally:
            process.kill()
            process.wait()

    _, before, after, _, seen, _, reconnects = line.split()
    assert int(after) <= int(before) + SLACK, line
    assert int(reconnects) >= RESTARTS
    assert int(seen) >= MESSAGES - 16 * (RESTARTS + 1)
