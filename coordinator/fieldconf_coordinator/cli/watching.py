"""Tells when something changed, from the coordinator's stream; survives lost connections.

What changed is not kept here: whoever is told asks for what is shown. The stream is read in a
thread, so that a wait can have an end, and Ctrl-C.
"""

import threading
import time
from queue import Empty, SimpleQueue

from ..errors import RequestError
from .client import PASSING, Client

_AGAIN_S = 1.0


class Watcher:
    """Listens until the process ends.

    Args:
        client: another connection is made to where this one leads.
        application: whose instances count; None: all.
    """

    def __init__(self, client: Client, application: str | None) -> None:
        self._client = client.clone()
        self._application = application
        self._news: SimpleQueue[RequestError | None] = SimpleQueue()
        threading.Thread(target=self._run, name="watcher", daemon=True).start()

    def wait(self, longest_s: float) -> None:
        """Return when something changed since the last call, at the latest after `longest_s`.

        Raises:
            RequestError: one may not listen.
        """
        try:
            found = [self._news.get(timeout=longest_s)]
            while True:
                found.append(self._news.get_nowait())
        except Empty:
            pass
        for error in found:
            if error is not None:
                raise error

    def _run(self) -> None:
        last_id = ""
        while True:
            try:
                with self._client.stream(last_id, application=self._application) as stream:
                    for _ in stream:
                        last_id = stream.last_id
                        self._news.put(None)
            except RequestError as error:
                if error.code not in PASSING and error.code != "too-many-listeners":
                    self._news.put(error)
                    return
            # What happened meanwhile is worth a look, too.
            self._news.put(None)
            time.sleep(_AGAIN_S)
