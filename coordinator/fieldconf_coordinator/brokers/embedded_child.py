"""The process of the embedded broker: runs iotcore until standard input ends.

Started as a file, so that it needs, and keeps in memory, nothing else of ours.
"""

import sys

# Python puts this file's folder first, whose modules are not meant to be found by plain names.
if __name__ == "__main__":
    del sys.path[0]

import logging
import os
import threading

from iotcore.iotcore import IotCoreBroker


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(config: str) -> None:
    """Run the broker with this configuration file."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(message)s")
    # It reports every packet as an error.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=config).run_forever()


if __name__ == "__main__":
    main(sys.argv[1])
