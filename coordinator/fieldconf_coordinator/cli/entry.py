"""Where ``fieldconf`` begins: Ctrl-C ends it in silence while the rest is still being loaded."""

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from .main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
