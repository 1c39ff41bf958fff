"""The tests in `both/` once more, under MicroPython."""

from pathlib import Path

import pytest

from support import interpreters

FILES = sorted((Path(__file__).parent / "both").glob("test_*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_passes_under_micropython(file, tmp_path):
    output = interpreters.run_micropython(
        interpreters.RUN_PLAIN, interpreters.PACKAGES, file, tmp_path
    )

    assert output.strip().endswith(" passed"), output
    assert not output.strip().endswith("\n0 passed"), "no test was found"
