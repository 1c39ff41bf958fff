from fieldconf_microagent.link_several import SeveralLinks


class Link:
    """A link to one broker; what happens next is put into `coming`."""

    def __init__(self, url):
        self.url = url
        self.coming = []
        self.calls = []
        self.interface = None

    def connect(self, will):
        self.calls.append("connect")

    def fail(self, reason="refused"):
        self.coming.append(("down", self.url + ": " + reason))

    def poll(self, timeout_ms):
        events, self.coming = self.coming, []
        return events

    def publish(self, topic, payload, qos, retain):
        self.calls.append(topic)
        return len(self.calls)

    def address(self):
        return self.interface

    def wake(self):
        self.calls.append("wake")


def three():
    links = [Link(url) for url in ("mqtt://a", "mqtt://b.local", "mqtt://c")]
    several = SeveralLinks(links)
    several.connect(("t/live", b""))
    return links, several


def tries(links):
    return [link.calls.count("connect") for link in links]


def test_a_broker_that_lets_nobody_in_is_followed_by_the_next_at_once():
    links, several = three()

    links[0].fail()
    assert several.poll(0) == []
    links[1].coming = [("up",)]

    assert several.poll(0) == [("up",)]
    assert tries(links) == [1, 1, 0]
    assert several.publish("t/1", b"", 1, False) == 2
    assert links[1].calls == ["connect", "t/1"]


def test_it_is_down_when_all_were_tried_and_each_is_named():
    links, several = three()

    for link in links:
        assert several.poll(0) == []
        link.fail("no answer")

    expected = "mqtt://a: no answer; mqtt://b.local: no answer; mqtt://c: no answer"
    assert several.poll(0) == [("down", expected)]
    assert tries(links) == [1, 1, 1]
    several.connect(("t/live", b""))
    assert tries(links) == [2, 1, 1]


def test_the_one_that_served_last_is_tried_first():
    links, several = three()
    links[0].fail()
    several.poll(0)
    links[1].coming = [("up",), ("subscribed",)]
    several.poll(0)

    links[1].fail("closed")

    assert several.poll(0) == [("down", "mqtt://b.local: closed")]
    several.connect(("t/live", b""))
    assert tries(links) == [1, 2, 0]
    links[1].fail()
    several.poll(0)
    assert tries(links) == [1, 2, 1]


def test_one_that_greets_and_does_no_more_is_left_after_the_pause():
    links, several = three()
    links[0].coming = [("up",)]
    several.poll(0)

    links[0].fail("closed")

    assert several.poll(0) == [("down", "mqtt://a: closed")]
    several.connect(("t/live", b""))
    assert tries(links) == [1, 1, 0]


def test_all_are_woken_and_the_address_is_that_of_the_interface():
    links, several = three()
    several.interface = "10.0.0.7"

    several.wake()

    assert several.address() == "10.0.0.7"
    assert ["wake" in link.calls for link in links] == [True, True, True]
