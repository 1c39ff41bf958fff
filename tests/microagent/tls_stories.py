"""What the link does over TLS; run under MicroPython, with a real broker, by `test_mqtt_tls`."""

from fieldconf_microagent.link_mqtt import MqttLink

ARGUMENT = "places"


def link(places, ca="ca.pem", host="localhost"):
    """`places` is a folder with certificates and the broker's port."""
    folder, port = places.split(":")
    url = "mqtts://" + host + ":" + port
    made = MqttLink(url, "n1", 5, ca_file=folder + "/" + ca)
    made.connect(("t/live", b"gone"))
    return made


def until(link, kind):
    seen = []
    for _ in range(1000):
        for event in link.poll(20):
            seen.append(event)
            if event[0] == kind:
                return event
    raise AssertionError("no " + kind + " but " + repr(seen))


def test_messages_pass_both_ways(places):
    party = link(places)
    until(party, "up")
    party.subscribe(["t/1"])
    until(party, "subscribed")
    payload = bytes(range(256)) * 40

    token = party.publish("t/1", payload, 1, False)

    got = {event[0]: event for event in (until(party, "message"),)}
    assert got["message"] == ("message", "t/1", payload)
    assert token
    party.close()


def test_authority_is_read_as_der_too(places):
    party = link(places, "ca.der")
    until(party, "up")
    party.close()


def test_broker_of_another_authority_is_refused(places):
    party = link(places, "other.pem")
    why = until(party, "down")[1]
    assert "certificate" in why.lower() or "cert" in why.lower(), why


def test_broker_of_another_name_is_refused(places):
    party = link(places, host="127.0.0.1")
    why = until(party, "down")[1]
    assert "certificate" in why.lower() or "cert" in why.lower(), why


def test_file_without_a_certificate_is_refused_in_words(places):
    try:
        link(places, "broker.key")
    except ValueError as error:
        assert "no certificate" in str(error)
    else:
        raise AssertionError("was taken")


def test_nobody_listening_is_told_as_down(places):
    party = link(places.split(":")[0] + ":1")
    assert until(party, "down")[1]
