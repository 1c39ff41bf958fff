"""How a recipe is loaded, and how data folders are called, on both Pythons."""

from fieldconf_microagent import compat, recipe


def scratch(files):
    """Make a folder with these files and return its name."""
    folder = "/tmp/fieldconf-test-" + compat.hex(compat.random_bytes(8))
    compat.makedirs(folder)
    for name in files:
        compat.makedirs((folder + "/" + name).rpartition("/")[0])
        with open(folder + "/" + name, "wb") as file:
            file.write(files[name].encode())
    return folder


def test_a_recipe_has_the_steps_that_it_defines():
    folder = scratch(
        {"recipe.py": "def start(i):\n    return 1\nstop = 5\ndef other(i):\n    pass\n"}
    )
    try:
        space = recipe.load(folder)
    finally:
        compat.remove_tree(folder)

    assert recipe.step_of(space, "start")(None) == 1
    assert recipe.step_of(space, "stop") is None
    assert recipe.step_of(space, "update") is None
    assert recipe.step_of(space, "other") is None


def test_a_folder_without_recipe_has_no_step():
    folder = scratch({})
    try:
        assert recipe.load(folder) is None
    finally:
        compat.remove_tree(folder)
    assert recipe.step_of(None, "start") is None


def test_two_recipes_may_bring_a_module_of_one_name():
    words = []
    for word in ("one", "two"):
        files = {
            "recipe.py": "import fieldconf_test_word as w\ndef start(i):\n    return w.WORD\n",
            "fieldconf_test_word.py": f"WORD = {word!r}\n",
        }
        folder = scratch(files)
        try:
            words.append(recipe.step_of(recipe.load(folder), "start")(None))
        finally:
            compat.remove_tree(folder)

    assert words == ["one", "two"]


def test_folder_names_are_safe_and_differ():
    paths = ["/vm1/web", "/vm1_web", "/vm1+web", "/vm 1/web", "/vm1/we.b", "/../x", "/é"]
    names = [recipe.folder_name(path) for path in paths]

    assert names[0] == "vm1+web"
    assert names[3] == "vm=201+web"
    assert len(set(names)) == len(paths)
    for name in names:
        assert "/" not in name and "." not in name


def test_very_long_paths_have_short_names_that_differ():
    one = recipe.folder_name("/vm" + "x" * 500)
    two = recipe.folder_name("/vm" + "x" * 501)

    assert one != two
    assert len(one) <= 200 and len(two) <= 200
