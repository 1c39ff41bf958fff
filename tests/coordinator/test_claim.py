"""Who leads a domain: decided by messages alone, in whatever order they come."""

import itertools

import pytest

from fieldconf_coordinator.brokers.claim import Claim
from fieldconf_microagent import codec


class Topic:
    """A topic of a broker: everybody hears everything, in one order, what is retained first."""

    def __init__(self):
        self.retained = b""
        self.claims = []
        self.coming = []

    def join(self, claim):
        self.claims.append(claim)
        if self.retained:
            self.tell(claim, self.retained)
        if claim.other is None:
            self.coming.append((claim.hello(), False))

    def tell(self, claim, payload):
        answer = None if claim.other else claim.heard(payload)
        if answer:
            self.coming.append((answer, True))

    def pass_on(self):
        while self.coming:
            payload, retain = self.coming.pop(0)
            if retain:
                self.retained = payload
            for claim in self.claims:
                self.tell(claim, payload)


def leaders(topic):
    return [claim.fleet for claim in topic.claims if claim.leads]


def test_first_fleet_leads_and_the_second_gives_way():
    topic = Topic()
    topic.join(Claim("fc", "b"))
    topic.pass_on()
    topic.join(Claim("fc", "a"))
    topic.pass_on()

    assert leaders(topic) == ["b"]
    assert topic.claims[1].other == "b"


def test_broker_that_forgot_makes_no_second_leader():
    topic = Topic()
    topic.join(Claim("fc", "b"))
    topic.pass_on()
    topic.retained = b""
    topic.join(Claim("fc", "c"))
    topic.pass_on()

    assert leaders(topic) == ["b"]


@pytest.mark.parametrize("names", list(itertools.permutations("abc")))
def test_of_those_who_come_at_once_one_leads(names):
    topic = Topic()
    for name in names:
        topic.join(Claim("fc", name))
    topic.pass_on()

    assert len(leaders(topic)) == 1
    assert codec.unpack(topic.retained)[1] == leaders(topic)[0]


def test_fleet_that_comes_back_leads_again():
    topic = Topic()
    topic.retained = codec.pack([1, "a", True])
    topic.join(Claim("fc", "a"))
    topic.pass_on()

    assert leaders(topic) == ["a"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        codec.pack([2, "z", True]),
        codec.pack([1, 7, True]),
        codec.pack([1, "z" * 99, True]),
    ],
    ids=["cleared", "undecodable", "another format", "no name", "too long"],
)
def test_rubbish_moves_nobody(payload):
    claim = Claim("fc", "a")

    assert claim.heard(payload) is None
    assert claim.other is None
