"""Where the interface is served: the same place each time, and words where it cannot be."""

import socket

import pytest

from fieldconf_coordinator.cli import run
from fieldconf_coordinator.rest import server
from fieldconf_coordinator.rest.server import ListenError
from support.rest import served


@pytest.fixture
def taken():
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def default(taken, monkeypatch):
    monkeypatch.setattr(server, "DEFAULT", ("127.0.0.1", taken))


def test_port_stays_the_same_over_a_restart(tmp_path, default):
    with served(tmp_path, listen=None) as fleet:
        first = fleet.url
    with served(tmp_path, listen=None) as fleet:
        assert fleet.url == first


def test_another_port_is_taken_where_that_of_the_last_time_is_not_free(tmp_path, taken, default):
    (tmp_path / server.PORT_FILE).write_text(f"{taken}\n")

    with served(tmp_path, listen=None) as fleet:
        assert fleet.get("/session").status == 200
        assert (tmp_path / server.PORT_FILE).read_text().strip() == fleet.url.rpartition(":")[2]


@pytest.mark.parametrize("text", ["", "no port", "99999999", "-1"])
def test_file_without_a_port_is_no_harm(tmp_path, default, text):
    (tmp_path / server.PORT_FILE).write_text(text)

    with served(tmp_path, listen=None) as fleet:
        assert fleet.get("/session").status == 200


def refusal(tmp_path, listen):
    with pytest.raises(ListenError) as caught, served(tmp_path, listen=listen):
        pass
    return str(caught.value)


def test_taken_port_is_told_in_words(tmp_path, taken):
    said = refusal(tmp_path, f"127.0.0.1:{taken}")

    assert said == (
        f"cannot listen on 127.0.0.1:{taken}: another program has that port; "
        "end it, or choose another port with --listen"
    )


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("192.0.2.1:8700", "this box has no such address; 0.0.0.0 stands for all that it has"),
        ("no-such-box.invalid:8700", "nobody knows a box of this name"),
        ("8700", "expected HOST:PORT, as 127.0.0.1:8700"),
    ],
)
def test_address_that_cannot_be_is_told_in_words(tmp_path, listen, said):
    assert said in refusal(tmp_path, listen)


@pytest.mark.parametrize(
    ("url", "shown", "warns"),
    [
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700", False),
        ("http://0.0.0.0:8700", "http://10.1.2.3:8700", True),
        ("https://[::]:8700", "https://10.1.2.3:8700", False),
    ],
)
def test_the_address_that_is_told_is_one_for_others(monkeypatch, url, shown, warns):
    monkeypatch.setattr("fieldconf_coordinator.brokers.mosquitto.own_address", lambda: "10.1.2.3")

    first, *more = run._where(url)

    assert first == f"console and REST interface: {shown}"
    assert ("--tls-cert" in " ".join(more)) == warns
