"""The command line and coordinators elsewhere: contexts, TLS, roles, completion."""

import json
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading

import pytest

from fieldconf_coordinator.cli import main as cli
from support.commands import command, environment
from support.coordinators import coordinator
from support.rest import PASSWORD, WEB_CLUSTER, served
from support.waiting import until


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, with nothing of a coordinator on this box."""
    for name in ("FIELDCONF_DATA", "FIELDCONF_SERVER", "FIELDCONF_TOKEN", "FIELDCONF_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    def run(*arguments, **variables):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["fieldconf", *map(str, arguments)])
            for name, value in variables.items():
                patch.setenv(name, str(value))
            with pytest.raises(SystemExit) as caught:
                cli.main()
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    return run


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "box.pem", folder / "box.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


@pytest.fixture
def gateway(tmp_path):
    """A coordinator that is not that of the data folder."""
    with served(tmp_path / "gateway") as fleet:
        yield fleet


def token_of(client):
    return client.headers["Authorization"].partition(" ")[2]


def contexts_file(tmp_path):
    return tmp_path / "config" / "fieldconf" / "contexts.json"


# -- contexts


def test_login_saves_what_only_its_owner_can_read(run, gateway, tmp_path):
    status, out, _ = run("login", gateway.url, "--name", "home", FIELDCONF_TOKEN=token_of(gateway))

    assert (status, out) == (0, f"home: {gateway.url}, as first-start (admin)\n")
    path = contexts_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # It need not have reached its broker yet.
    until(lambda: run("status")[1].startswith("no applications"))
    assert run("deploy", WEB_CLUSTER, "--name", "shop")[0] == 0
    assert gateway.get("/applications/shop").status == 200


def test_login_with_a_password_makes_a_token(run, gateway, monkeypatch):
    gateway.user("anna", "operator")
    monkeypatch.setattr("click.prompt", lambda *_, **__: PASSWORD)

    status, out, _ = run("login", gateway.url, "--user", "anna")

    assert (status, out) == (0, f"127.0.0.1: {gateway.url}, as anna (operator)\n")
    assert run("nodes")[:2] == (0, "no nodes\n")
    assert "fieldconf on" in str(gateway.get("/tokens").json)


def test_login_where_nobody_answers_asks_for_nothing(run, monkeypatch):
    monkeypatch.setattr("click.prompt", lambda *_, **__: pytest.fail("asked"))

    # Bound, but nobody listens there.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        status, _, err = run("login", f"http://127.0.0.1:{nobody.getsockname()[1]}")

    assert status == 2
    assert "error: " in err and "hint: " in err


def test_login_that_is_refused_saves_nothing(run, gateway, tmp_path):
    status, _, err = run("login", gateway.url, FIELDCONF_TOKEN="wrong")

    assert status == 1
    assert "error: this token is unknown" in err
    assert not contexts_file(tmp_path).exists()


def test_contexts_are_listed_chosen_and_forgotten(run, gateway):
    for name in ("one", "two"):
        run("login", gateway.url, "--name", name, FIELDCONF_TOKEN=token_of(gateway))

    assert run("context")[1].splitlines()[1:] == [
        f"  one    {gateway.url}",
        f"* two    {gateway.url}",
    ]
    assert f"* one    {gateway.url}" in run("context", "one")[1]
    assert [row["current"] for row in json.loads(run("context", "--json")[1])] == [0, 1, 0]
    assert run("context", "one", "--forget")[1].startswith("* local")
    assert "no coordinator runs on" in run("status")[2]

    status, _, err = run("context", "nobody")
    assert status == 1
    assert "hint: there are: local, two" in err


def test_contexts_that_others_can_read_are_refused(run, gateway, tmp_path):
    run("login", gateway.url, FIELDCONF_TOKEN=token_of(gateway))
    contexts_file(tmp_path).chmod(0o644)

    status, _, err = run("status")

    assert status == 1
    assert "others can read the tokens" in err
    assert "hint: chmod 600" in err


def test_contexts_that_are_damaged_are_told(run, tmp_path):
    path = contexts_file(tmp_path)
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text("{")

    status, _, err = run("status")

    assert status == 1
    assert f"cannot read {path}" in err


def test_what_is_said_comes_before_the_environment_and_that_before_the_context(
    run, gateway, tmp_path
):
    with coordinator(tmp_path / "data", serves=True) as here:
        here.deploy(WEB_CLUSTER, name="here")
        run("login", gateway.url, "--name", "home", FIELDCONF_TOKEN=token_of(gateway))
        data = tmp_path / "data"

        assert run("status")[1].startswith("no app")
        assert run("status", FIELDCONF_DATA=data)[1].startswith("here ")
        assert run("status", "--data", data, FIELDCONF_SERVER="home")[1].startswith("here ")
        assert run("status", "--server", "home", FIELDCONF_DATA=data)[1].startswith("no app")
        assert run("status", FIELDCONF_DATA=data, FIELDCONF_SERVER="home")[1].startswith("no app")
        assert run("status", "--server", "local", FIELDCONF_DATA=data)[1].startswith("here ")

    status, _, err = run("status", "--data", data, "--server", "home")
    assert status == 2
    assert "exclude each other" in err


def test_server_is_asked_with_the_token_of_the_environment(run, gateway):
    address = ("--server", gateway.url)

    assert run("status", *address, FIELDCONF_TOKEN=token_of(gateway))[0] == 0
    status, _, err = run("status", *address)
    assert status == 1
    assert "hint: log in with 'fieldconf login URL', or set FIELDCONF_TOKEN" in err


def test_role_that_is_too_low_is_told(run, gateway):
    viewer = token_of(gateway.user("vera", "viewer"))

    status, _, err = run("deploy", WEB_CLUSTER, "--server", gateway.url, FIELDCONF_TOKEN=viewer)

    assert status == 1
    assert err == "error: vera is viewer; this needs releaser\nhint: ask an admin for the role\n"


def test_nobody_at_the_address_is_told(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    status, _, err = run("status", "--server", f"http://127.0.0.1:{port}")

    assert status == 2
    assert f"error: cannot reach http://127.0.0.1:{port}: Connection refused" in err
    assert "hint: " in err


# -- TLS


def test_own_certificate_is_trusted_when_it_is_named(run, tmp_path, certificate):
    with served(tmp_path / "gateway", certificate=certificate) as fleet:
        token = {"FIELDCONF_TOKEN": token_of(fleet)}

        status, _, err = run("login", fleet.url, **token)
        assert status == 2
        assert "is not trusted: self-signed certificate" in err
        assert "--ca FILE" in err

        assert run("login", fleet.url, "--ca", certificate[0], **token)[0] == 0
        assert run("status")[0] == 0
        assert run("deploy", WEB_CLUSTER)[0] == 0
        assert "/lb-vm/lb" in run("status")[1]


def test_certificate_for_another_name_is_refused(run, tmp_path, certificate):
    with served(tmp_path / "gateway", certificate=certificate) as fleet:
        url = fleet.url.replace("127.0.0.1", "localhost")
        status, _, err = run("status", "--server", url, "--ca", certificate[0])

    assert status == 2
    assert "is not trusted: Hostname mismatch" in err


def test_on_this_box_the_certificate_may_bear_any_name_but_must_be_that_one(
    run, tmp_path, certificate
):
    data = tmp_path / "gateway"
    with served(data, certificate=certificate) as fleet:
        assert run("status", "--data", data)[0] == 0

        endpoint = data / "endpoint.json"
        told = json.loads(endpoint.read_text())
        endpoint.write_text(
            json.dumps({**told, "url": fleet.url.replace("127.0.0.1", "localhost")})
        )
        assert run("status", "--data", data)[0] == 0

        told["certificate"] = other_certificate(tmp_path)
        endpoint.write_text(json.dumps(told))
        assert "is not trusted" in run("status", "--data", data)[2]


def other_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=other", "-keyout", folder / "k", "-out", folder / "c"],
        check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "c").read_text()


def test_plain_address_of_a_tls_server_is_told(run, tmp_path, certificate):
    with served(tmp_path / "gateway", certificate=certificate) as fleet:
        status, _, err = run("status", "--server", fleet.url.replace("https", "http"))

    assert status == 2
    assert "https://" in err


def test_watch_is_live_over_tls(tmp_path, certificate):
    data = tmp_path / "gateway"
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with served(data, certificate=certificate, context=context) as fleet:
        watch = subprocess.Popen(
            command("status", "--watch"),
            env=environment(data),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watch.stdout.readline().startswith("no applications")
        fleet.deploy("shop")
        try:
            until(lambda: "/lb-vm/lb" in watch.stdout.readline())
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()


# -- plan and nodes


@pytest.fixture
def shop(tmp_path, monkeypatch, run):
    monkeypatch.setenv("FIELDCONF_DATA", str(tmp_path / "data"))
    with coordinator(tmp_path / "data", serves=True) as running:
        running.deploy(WEB_CLUSTER, name="shop")
        yield running


def test_plan_tells_what_is_added_removed_and_upgraded(run, shop, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(WEB_CLUSTER, changed)
    instances = changed / "instances" / "main.instances"
    instances.write_text(instances.read_text().replace("name: lb-vm;", "name: front-vm;"))
    script = next((changed / "graph" / "Data").rglob("start*"))
    script.write_text(script.read_text() + "\n# changed\n")

    status, out, _ = run("plan", changed, "--name", "shop")

    assert status == 0
    assert out.splitlines() == [
        "shop (web-cluster 1.0)",
        "  + /front-vm is added",
        "  + /front-vm/lb is added",
        "  - /lb-vm is removed",
        "  - /lb-vm/lb is removed",
        "  ^ /data-vm/data is upgraded",
        "2 added, 2 removed, 1 upgraded",
    ]
    assert "/lb-vm/lb" in shop.states("shop")
    assert json.loads(run("plan", changed, "--name", "shop", "--json")[1])["new"] is False


def test_plan_of_something_new_and_of_nothing(run, shop):
    assert run("plan", WEB_CLUSTER)[1].startswith("web-cluster (web-cluster 1.0) is new\n  + ")
    assert run("plan", WEB_CLUSTER, "--name", "shop")[1].splitlines()[-1] == "nothing changes"


def test_nodes_are_a_table(run, shop):
    status, out, _ = run("nodes")

    assert status == 0
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["node", "is", "instance"]
    assert len(lines) == 1 + 4
    assert all(" online  shop /" in line for line in lines[1:])
    assert {node["path"] for node in json.loads(run("nodes", "--app", "shop", "--json")[1])} == {
        "/data-vm", "/lb-vm", "/web-vm1", "/web-vm2",
    }  # fmt: skip


# -- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run, shell):
    status, out, _ = run("completion", shell)

    assert status == 0
    assert "_FIELDCONF_COMPLETE" in out
    assert "fieldconf" in out


def completed(run, words):
    """Return what bash would show for a command line, whose last word is begun."""
    place = {"COMP_WORDS": words, "COMP_CWORD": len(words.split(" ")) - 1}
    _, out, err = run(_FIELDCONF_COMPLETE="bash_complete", **place)
    assert err == ""
    return [line.partition(",")[2] for line in out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fieldconf und", ["undeploy"]),
        ("fieldconf status ", ["shop"]),
        ("fieldconf stop --app s", ["shop"]),
        ("fieldconf why /lb", ["/lb-vm", "/lb-vm/lb"]),
        ("fieldconf logs --app shop /data-vm/", ["/data-vm/data"]),
        ("fieldconf scale /web-vm1/", ["/web-vm1/web"]),
        ("fieldconf why --app nobody /", []),
    ],
)
def test_shell_completes_commands_applications_and_instances(run, shop, words, found):
    assert completed(run, words) == found


def test_contexts_are_completed(run):
    assert completed(run, "fieldconf context l") == ["local"]


def test_nothing_is_completed_without_a_coordinator(run):
    assert completed(run, "fieldconf status ") == []
    assert completed(run, "fieldconf status --server http://127.0.0.1:1 ") == []


def test_completion_does_not_wait_for_who_does_not_answer(run):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = []
        words = f"fieldconf status --server {url} "
        thread = threading.Thread(target=lambda: found.append(completed(run, words)), daemon=True)
        thread.start()
        # The silence has no end; only the completion's own patience has.
        thread.join(20)

    assert found == [[]]
