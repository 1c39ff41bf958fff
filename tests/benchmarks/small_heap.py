"""A plug-in of pytest that gives the boards of tests a small heap, for `board`."""

import os


def pytest_collection_finish(session):
    from support.boards import BoardTarget

    BoardTarget.options = ("-X", "heapsize=" + os.environ["FIELDCONF_BOARD_HEAP"])
