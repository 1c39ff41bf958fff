"""Runs under MicroPython, as a board's firmware does: mounts its flash, then starts ``main.py``.

``micropython from_flash.py FILE READ_SIZE PROG_SIZE``: the flash is a file with the content of the
partition. What the agent writes goes there.
"""

import sys

from flash_file import run

sys.path[:] = ["", ".frozen", "/lib"]
run(*sys.argv[1:])
