"""The socket between command line and coordinator."""

import socket
import stat
import threading

import pytest

from fieldconf_coordinator.control import SOCKET, ControlServer, RequestError, ask


def handle(name, arguments):
    if name == "echo":
        return arguments
    if name == "refuse":
        raise RequestError("no-way", "cannot do that", "do this instead", [{"text": "line 1"}])
    raise AssertionError(name)


@pytest.fixture
def folder(tmp_path):
    server = ControlServer(tmp_path, handle)
    yield tmp_path
    server.close()


def test_answer_comes_back(folder):
    assert ask(folder, "echo", path="/ä", name=None) == {"path": "/ä", "name": None}


def test_refusal_comes_back_with_all_that_was_said(folder):
    with pytest.raises(RequestError) as caught:
        ask(folder, "refuse")

    error = caught.value
    assert (error.code, str(error), error.hint) == ("no-way", "cannot do that", "do this instead")
    assert error.problems == [{"text": "line 1"}]


def test_nobody_there_is_told_with_what_to_do(tmp_path):
    with pytest.raises(RequestError, match="no coordinator runs on") as caught:
        ask(tmp_path, "echo")

    assert caught.value.code == "not-running"
    assert "fieldconf up" in caught.value.hint


def test_only_the_owner_can_open_the_socket(folder):
    assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600


def test_socket_of_a_killed_coordinator_is_replaced(folder):
    again = ControlServer(folder, handle)

    assert ask(folder, "echo", n=1) == {"n": 1}
    again.close()


def test_rubbish_is_refused_and_the_connection_lives(folder):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / SOCKET))
        lines = connection.makefile("rwb")
        for rubbish in (b"\xff\n", b"[]\n", b'{"no": "do"}\n', b"17\n"):
            lines.write(rubbish)
            lines.flush()
            assert b"expected a line of JSON" in lines.readline()
        lines.write(b'{"do": "echo", "n": 2}\n')
        lines.flush()

        assert lines.readline() == b'{"result": {"n": 2}}\n'
        lines.close()


def test_several_ask_at_once(folder):
    answers = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(ask(folder, "echo", n=n)["n"]))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == list(range(20))


def test_data_folder_may_have_a_very_long_name(tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    server = ControlServer(folder, handle)

    assert ask(folder, "echo", n=3) == {"n": 3}
    server.close()
    assert not (folder / SOCKET).exists()
