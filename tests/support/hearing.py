"""A node that is powered, and somebody on the broker who hears it."""

import subprocess
from contextlib import contextmanager

from fieldconf_microagent import codec
from fieldconf_microagent.link_paho import PahoLink
from support.waiting import until


class Listener:
    """Hears that a node says whether it is there."""

    def __init__(self, url, node="n7"):
        self._topic = f"fc/{node}/live"
        self._link = PahoLink(url, "listener", keepalive_s=5)
        self._link.connect(("listener/will", b"gone"))
        self._events = []
        self._expect("up")
        self._link.subscribe([self._topic])
        self._expect("subscribed")

    def hear(self, enrolment, boot, online):
        """Wait until the node says exactly this."""
        self._expect("message", self._topic, codec.pack([enrolment, boot, online]))

    def _expect(self, *event):
        def came():
            self._events.extend(self._link.poll(50))
            return any(seen[: len(event)] == event for seen in self._events)

        until(came, 30)

    def close(self):
        self._link.close()


@contextmanager
def powered(command, folder):
    """Run a node until the block ends; it is then cut off, not asked.

    What it says stands in ``output`` there, and in the error of a block that fails.
    """
    said = folder / "output"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}; it said {said.read_text(errors='replace')!r}") from None
    finally:
        process.kill()
        process.wait()
