import json
import os

from fieldconf_microagent import compat, settings

ARGUMENT = "tmp_path"
KEY = "07" * 32
GIVEN = {"node": "b1", "key": KEY, "broker": "mqtt://gateway", "wifi": [["net", "secret"]]}


def written(tmp_path, content):
    path = str(tmp_path) + "/settings.json"
    with open(path, "wb") as file:
        file.write(content)
    return path


def refused(function, *arguments):
    try:
        function(*arguments)
    except settings.SettingsError as error:
        return str(error)
    return ""


def test_defaults_are_filled_in_and_what_is_not_known_is_kept(tmp_path):
    known = settings.read(written(tmp_path, json.dumps(GIVEN).encode()))

    assert (known["domain"], known["enrolment"], known["keepalive"]) == ("fc", 1, 60)
    assert known["key"] == b"\x07" * 32
    assert known["wifi"] == [["net", "secret"]]


def test_what_is_wrong_is_told_with_file_and_key(tmp_path):
    path = written(tmp_path, b"{")
    assert "not JSON" in refused(settings.read, path)
    for name, value in (("node", "a b"), ("key", "07"), ("keepalive", "60"), ("broker", "x:1")):
        wrong = dict(GIVEN)
        wrong[name] = value
        told = refused(settings.read, written(tmp_path, json.dumps(wrong).encode()))
        assert path in told
        assert name in told or repr(value) in told, told


def _brokers_of(value):
    given = dict(GIVEN)
    given["broker"] = value
    return settings.brokers(settings.checked(given))


def test_there_may_be_up_to_three_brokers(tmp_path):
    assert _brokers_of("mqtt://gateway") == ["mqtt://gateway"]
    several = ["mqtt://gateway.local", "mqtts://10.0.0.1:8884", "mqtt://[fe80::1]:1883"]
    assert _brokers_of(several) == several

    assert "up to 3" in refused(_brokers_of, [])
    several.append("mqtt://d")
    assert "up to 3" in refused(_brokers_of, several)
    assert "'x:1'" in refused(_brokers_of, ["mqtt://a", "x:1"])
    assert "must be text" in refused(_brokers_of, ["mqtt://a", 7])
    assert "of their own" in refused(_brokers_of, "mqtt://me:secret@gateway")
    assert "alone" in refused(_brokers_of, ["mqtt://a", "serial:"])


def test_a_new_key_is_made_of_the_former_one_and_the_rest_stays(tmp_path):
    path = written(tmp_path, json.dumps(GIVEN).encode())

    settings.rekey(path, b"n" * 16, 2)

    known = settings.read(path)
    assert known["key"] == compat.hmac_sha256(b"\x07" * 32, b"n" * 16)
    assert known["enrolment"] == 2
    assert known["wifi"] == [["net", "secret"]]
    assert not compat.exists(path + ".new")
    if hasattr(os, "chmod"):
        assert os.stat(path).st_mode & 0o077 == 0
