"""Run one file of tests under MicroPython, which has no pytest.

``micropython run_plain.py PACKAGES FILE [ARGUMENT]``: calls every function whose name begins with
``test_``, with ARGUMENT if the file says ``ARGUMENT = "..."`` (pytest has a fixture of that name).
"""

import sys


def run(packages, path, *arguments):
    sys.path.insert(0, packages)
    # The file's own folder, so that it can import what lies beside it.
    sys.path.insert(0, path.rpartition("/")[0])
    names = {"__name__": "tests"}
    with open(path) as file:
        exec(file.read(), names)
    if not names.get("ARGUMENT"):
        arguments = ()
    count = 0
    for name in sorted(names):
        if name.startswith("test_"):
            print(name)
            names[name](*arguments)
            count += 1
    print(f"{count} passed")


run(*sys.argv[1:])
