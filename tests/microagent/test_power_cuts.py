"""A board whose power fails at any write boots with the old or the new, never with none."""

import pytest

from support import interpreters

SCRIPT = interpreters.ROOT / "tests/microagent/power_cuts.py"


@pytest.fixture(scope="module")
def cuts():
    """Return how many cuts each kind of file has lived through."""
    output = interpreters.run_micropython(
        SCRIPT, interpreters.PACKAGES, options=("-X", "heapsize=1M")
    )
    return {name: int(count) for name, count in map(str.split, output.splitlines())}


@pytest.mark.parametrize("what", ["state", "boot", "settings"])
def test_power_cut_at_every_write_leaves_the_old_or_the_new(what, cuts):
    assert cuts[what] >= 12
