"""The link where settings name several brokers: the first that answers serves.

It fulfils the contract in `link_paho` with one link for each broker, of which one is in use. A
broker that does not let the node in is followed by the next at once; only when none did it is
"down", and whoever connects makes the pause. The broker that served last is tried first.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SeveralLinks:
    """One of `links`, which are as good as each other."""

    def __init__(self, links: "list[Any]") -> None:
        self._links = links
        self._link = links[0]
        self._up = False
        # It has answered to more than the greeting.
        self._serves = False
        self._reasons: "list[str]" = []
        self._will: "Any" = None
        #: On a board that has one, what tells the address of its network interface.
        self.interface: "Any" = None

    def connect(self, will: "tuple[str, bytes]") -> None:
        self._will = will
        self._reasons = []
        self._link.connect(will)

    def poll(self, timeout_ms: int) -> "list[tuple[Any, ...]]":
        events = []
        for event in self._link.poll(timeout_ms):
            if event[0] == "up":
                self._up = True
                self._reasons = []
            elif event[0] == "subscribed":
                self._serves = True
            if event[0] != "down":
                events.append(event)
            elif self._is_over(event[1]):
                events.append(("down", "; ".join(self._reasons)))
        return events

    def _is_over(self, reason: str) -> bool:
        """Take in that a broker is gone; tell whether nobody else is tried at once."""
        was_up, served = self._up, self._serves
        self._up = self._serves = False
        self._reasons.append(reason)
        if not served:
            at = self._links.index(self._link) + 1
            self._link = self._links[at % len(self._links)]
        if was_up or len(self._reasons) == len(self._links):
            return True
        self._link.connect(self._will)
        return False

    def subscribe(self, topics: "list[str]") -> None:
        self._link.subscribe(topics)

    def unsubscribe(self, topics: "list[str]") -> None:
        self._link.unsubscribe(topics)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        token: int = self._link.publish(topic, payload, qos, retain)
        return token

    def address(self) -> "str | None":
        self._link.interface = self.interface
        address: "str | None" = self._link.address()
        return address

    def wake(self) -> None:
        # All: this may come from another thread, while the next one is taken.
        for link in self._links:
            link.wake()

    def drain(self, timeout_ms: int) -> None:
        self._link.drain(timeout_ms)

    def disconnect(self) -> None:
        self._link.disconnect()

    def close(self) -> None:
        for link in self._links:
            link.close()
