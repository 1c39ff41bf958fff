"""Stands in for every installer where steps are simulated: writes down what it was told.

A template can so be tried on a machine that lacks its tools. Imports, exports and the life cycle
are those of a real run, templates are rendered; only the recipe's own work is not done.
"""

import json
import os

from .installer import Installer, Request
from .recipe import NOT_SIMULATED

#: In the data folder: a line of JSON for each step.
FILE = "simulated.jsonl"

_MOST_BYTES = 1 << 20
_TOLD = ("step", "installer", "cause", "exports", "ancestors", "imports", "changed")


class Recorder(Installer):
    """Is no installer that a graph can name."""

    needs_recipe = False

    def command(self, request: Request, data_dir: str) -> "bytes | None":
        if request["step"] in NOT_SIMULATED:
            return None
        file = os.path.join(data_dir, FILE)
        if os.path.exists(file) and os.path.getsize(file) > _MOST_BYTES:
            os.replace(file, file + ".old")
        told = {name: request.get(name) for name in _TOLD}
        with open(file, "a", encoding="utf-8") as record:
            record.write(json.dumps(told, ensure_ascii=False) + "\n")
        return f"simulated {request['step']} {request['path']} ({request['installer']})\n".encode()


RECORDER = Recorder()
