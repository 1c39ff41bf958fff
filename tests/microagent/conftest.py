"""What several tests of the agent share."""

import pytest

from support.recipes import Recipe


@pytest.fixture
def recipe(tmp_path):
    recipe = Recipe(tmp_path)
    yield recipe
    recipe.runner.close()
