"""An image is mounted by MicroPython's own LittleFS; its agent starts and is heard on a broker."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from fieldconf_firmware_images import boards, building, littlefs_image
from fieldconf_microagent import codec
from fieldconf_microagent.link_paho import PahoLink
from support import brokers, interpreters
from support.images import settings
from support.waiting import until

FROM_FLASH = Path(__file__).parents[1] / "support" / "from_flash.py"


class Listener:
    """Hears which nodes say that they are there."""

    def __init__(self, url):
        self._link = PahoLink(url, "listener", keepalive_s=5)
        self._link.connect(("listener/will", b"gone"))
        self._events = []
        self._expect("up")
        self._link.subscribe(["fc/n7/live"])
        self._expect("subscribed")

    def hear(self, enrolment, boot, online):
        """Wait until the node says exactly this."""
        self._expect("message", "fc/n7/live", codec.pack([enrolment, boot, online]))

    def _expect(self, *event):
        def came():
            self._events.extend(self._link.poll(50))
            return any(seen[: len(event)] == event for seen in self._events)

        until(came, 30)

    def close(self):
        self._link.close()


@contextmanager
def powered(command, folder):
    """Run a board until the block ends; it is then cut off, not asked."""
    said = folder / "output"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield said
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["esp32, embedded", "pico-w, mosquitto"])
def surroundings(request, tmp_path):
    """Return a kind of board and a running broker."""
    name, kind = request.param.split(", ")
    with brokers.running(kind, tmp_path / "broker") as running:
        yield boards.load(name), running


def test_board_boots_from_its_image_and_is_heard(agent, surroundings, tmp_path):
    board, broker = surroundings
    image = building.build(board, settings(broker.url))
    flash = tmp_path / "flash"
    flash.write_bytes(image.filesystem)
    sizes = [str(board.filesystem.read_size), str(board.filesystem.prog_size)]
    command = [interpreters.find("micropython"), FROM_FLASH, flash, *sizes]
    listener = Listener(broker.url)
    try:
        # The second time it has to find in its flash that there was a first.
        for boot in (1, 2):
            with powered(command, tmp_path) as output:
                try:
                    listener.hear(1, boot, True)
                except AssertionError as error:
                    raise AssertionError(f"{error}; it said {output.read_text()}") from None
    finally:
        listener.close()

    files = littlefs_image.unpack(flash.read_bytes(), board.filesystem)
    assert {path: files[path] for path in image.files} == image.files
    assert any(path.startswith("state/") for path in files)
