"""The coordinator's connection to the broker: wildcards in, documents out.

It speaks through the same link as the agents do. What an agent publishes is told as
``("message", kind, node, payload)``; ``("link", True)`` follows the acknowledged subscriptions once
it is sure that no other fleet leads the domain, ``("link", False)`` the end of the connection.
"""

import logging
import random
from typing import Any

from fieldconf_microagent import topics
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_microagent.reconnect import Reconnect

from .claim import Claim
from .supervised import Broker, BrokerError

_KINDS = ("have", "live", "pulse", "did", "get", "log")
_FIRST_MS = 500
_MAX_PAYLOAD = 1 << 20

_log = logging.getLogger(__name__)


class BrokerLink:
    """Keeps the connection up."""

    def __init__(self, broker: Broker, domain: str, fleet_id: str, keepalive_s: int) -> None:
        user, password = broker.login or (None, None)
        self._domain = domain
        self._url = broker.url
        # One id for each fleet: a second coordinator would be noticed, not doubled.
        name = "fieldconf-" + fleet_id
        self._link = PahoLink(
            broker.url, name, keepalive_s, user, password, max_payload=_MAX_PAYLOAD
        )
        self._reconnect = Reconnect(_FIRST_MS)
        self._connect_at: int | None = 0
        self._is_up = False
        self._told_long = False
        self._claim = Claim(domain, fleet_id)
        self.wake = self._link.wake

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """Send a message; without a connection it is lost, and the core says it again."""
        self._link.publish(topic, payload, qos, retain)

    def poll(self, timeout_ms: int, now: int) -> list[tuple[Any, ...]]:
        """Wait for something to happen and return what did.

        Raises:
            BrokerError: another fleet leads the domain.
        """
        if self._connect_at is not None:
            if now >= self._connect_at:
                self._connect_at = None
                self._link.connect(None)
            else:
                timeout_ms = min(timeout_ms, self._connect_at - now)
        events: list[tuple[Any, ...]] = []
        for event in self._link.poll(timeout_ms):
            events += self._told(event, now)
        return events

    def release(self) -> None:
        """Leave the domain to whoever comes; for a fleet that has no nodes any more."""
        if self._claim.leads:
            self.publish(self._claim.topic, b"", 1, True)

    def close(self) -> None:
        """Disconnect."""
        self._link.drain(2000)
        self._link.close()

    def _told(self, event: tuple[Any, ...], now: int) -> list[tuple[Any, ...]]:
        if event[0] == "message":
            if event[1] == self._claim.topic:
                return self._heard(event[2])
            parts = topics.parse(self._domain, event[1])
            if parts is None or len(parts) != 2 or not event[2]:
                return []
            return [("message", *parts, event[2])]
        if event[0] == "up":
            self._reconnect.acknowledged(now)
            kinds = [f"{self._domain}/+/{kind}" for kind in _KINDS]
            self._link.subscribe([*kinds, self._claim.topic])
        elif event[0] == "subscribed":
            self.publish(self._claim.topic, self._claim.hello(), 1, False)
        elif event[0] == "long" and not self._told_long:
            self._told_long = True
            _log.warning("messages of more than %d bytes are dropped", _MAX_PAYLOAD)
        elif event[0] == "down":
            pause_ms = self._reconnect.pause_ms(now, random.random())
            self._connect_at = now + pause_ms
            _log.warning("no broker at %s; next attempt in %d ms", event[1], pause_ms)
            was_up, self._is_up = self._is_up, False
            return [("link", False)] if was_up else []
        return []

    def _heard(self, payload: bytes) -> list[tuple[Any, ...]]:
        """Take in who leads the domain; once it is this fleet, the connection counts as up."""
        claim = self._claim.heard(payload)
        if self._claim.other is not None:
            raise BrokerError(
                f"fleet {self._claim.other} leads the domain {self._domain!r} of the broker "
                f"{self._url}; choose another one with --domain. If that fleet is gone for good, "
                f"clear the retained message of the topic {self._claim.topic!r}"
            )
        if claim is None:
            return []
        self.publish(self._claim.topic, claim, 1, True)
        if self._is_up:
            return []
        self._is_up = True
        _log.info("connected to the broker %s", self._url)
        return [("link", True)]
