"""One coordinator holds a data folder."""

import os
import stat

import pytest

from fieldconf_coordinator.datafolder import FolderError, held


def test_second_coordinator_refuses_and_names_the_first(tmp_path):
    with held(tmp_path), pytest.raises(FolderError, match=f"process {os.getpid()}, has it"):
        with held(tmp_path):
            pass


def test_folder_is_free_again_afterwards(tmp_path):
    with held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_folder_is_made_for_its_owner_alone(tmp_path):
    with held(tmp_path / "a" / "b"):
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderError, match="cannot use the data folder"):
        with held(tmp_path / "file" / "below"):
            pass
