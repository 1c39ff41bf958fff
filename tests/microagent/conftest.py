"""What several tests of the agent share."""

import os

import pytest

from support.recipes import Recipe


@pytest.fixture
def recipe(tmp_path):
    recipe = Recipe(tmp_path)
    yield recipe
    recipe.runner.close()


@pytest.fixture(scope="module")
def no_waiting_for_the_disk():
    """Keep off the real disk: thousands of syncs take minutes. `test_fetch_disk` counts them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield
