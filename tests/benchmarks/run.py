"""Runs benchmarks and prints their tables: ``python tests/benchmarks/run.py [NAME…] [--quick]``.

Not part of the tests: nothing here is asserted. docs/benchmarks.md tells what is measured, how, and
what came of it. Needs mosquitto; what else is missing is said and left out.
"""

import argparse
import importlib
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import bench

NAMES = (
    "reaction",
    "fleet",
    "onefile",
    "memory",
    "idle",
    "board",
    "serial_lines",
    "check",
    "rest",
    "installers",
)


def main():
    parser = argparse.ArgumentParser(description="Run benchmarks and print their tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="fewer samples, smaller fleets")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    # So that what was started is ended, whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(machine(), flush=True)
    return max([_run(name, options.quick) for name in options.names or NAMES])


def _run(name, quick):
    """Run one benchmark in a folder of its own and return 0, or 1 if it broke down."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fieldconf-") as folder:
        try:
            for table in importlib.import_module(name).run(Path(folder), quick):
                table.print()
        except bench.Unavailable as error:
            print(f"\n### {name}\n\nleft out: {error}")
        except Exception:  # the others are still worth running
            print(f"\n### {name}\n\nbroke down:\n\n{traceback.format_exc()}", flush=True)
            return 1
    print(f"\n({name}: {time.monotonic() - began:.0f} s)", flush=True)
    return 0


def machine():
    """Return one line about where the figures come from."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, {pages:.0f} GB, "
        f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}, "
        f"Python {platform.python_version()}, load {load:.1f} at the start"
    )


if __name__ == "__main__":
    sys.exit(main())
