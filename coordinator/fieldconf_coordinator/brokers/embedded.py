"""The embedded broker: iotcore in a child process, on 127.0.0.1 only.

For demos, tries and tests: it has no access lists, and forgets everything when it ends. It ends
with the coordinator, even with one that was killed: agents then wait for the next.
"""

import sys
from pathlib import Path

from .supervised import SupervisedBroker

# Without these, iotcore drops connections that send more than 20 KiB, and retained messages
# beyond 200. Still at most 100 retained messages reach a subscription with QoS 1.
_CONFIG = """\
id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 10000
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 2097152
max_inflight_count = 500
dynamic_filters = true
"""


class EmbeddedBroker(SupervisedBroker):
    """Supervises iotcore."""

    name = "the embedded broker"
    notice = (
        "The embedded broker listens on 127.0.0.1 only, has no access lists and forgets its "
        "messages when it ends. Use --mosquitto or --broker for more than a try."
    )

    def _command(self) -> list[str]:
        config = self.folder / "iotcore.toml"
        config.write_text(_CONFIG.format(port=self.port))
        child = Path(__file__).with_name("embedded_child.py")
        return [sys.executable, str(child), str(config.absolute())]
