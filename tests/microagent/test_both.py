"""The tests in `both/` once more, under MicroPython: with the sources and with what boards get."""

from pathlib import Path

import pytest

from support import boards, interpreters

FILES = sorted((Path(__file__).parent / "both").glob("test_*.py"))
#: Uses private names, which are shorter on boards.
LOOKS_INSIDE = "test_mqtt"
CASES = [
    (form, file)
    for form in ("sources", "compiled")
    for file in FILES
    if (form, file.stem) != ("compiled", LOOKS_INSIDE)
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Return the folder that holds the agent's package, by the form it is in."""
    interpreters.find("micropython")
    made = {}
    for form in ("sources", "compiled"):
        made[form] = tmp_path_factory.mktemp(form)
        boards.copy_agent(made[form], form)
    return made


@pytest.mark.parametrize(
    ("form", "file"), CASES, ids=[f"{file.stem}, {form}" for form, file in CASES]
)
def test_passes_under_micropython(form, file, packages, tmp_path):
    output = interpreters.run_micropython(interpreters.RUN_PLAIN, packages[form], file, tmp_path)

    assert output.strip().endswith(" passed"), output
    assert not output.strip().endswith("\n0 passed"), "no test was found"
