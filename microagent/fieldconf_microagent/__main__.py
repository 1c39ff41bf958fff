"""``python -m fieldconf_microagent --dir FOLDER``: runs the agent of that folder on this Python."""

import sys

from . import compat


def main(arguments: "list[str]") -> int:
    """Pick the parts for this Python and run; return the exit status."""
    if len(arguments) != 2 or arguments[0] != "--dir":
        print("usage: python -m fieldconf_microagent --dir FOLDER", file=sys.stderr)
        return 2
    if compat.MICROPYTHON:
        from .main_board import main as run
    else:
        from .main_cpython import main as run
    return run(arguments[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
