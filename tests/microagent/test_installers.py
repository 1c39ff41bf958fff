"""Which installers an agent has: its own, those of third parties, and what it lacks for them."""

import pytest

from fieldconf_microagent import installers
from fieldconf_microagent.installer import Command, Installer, base_environment, status_text
from support.recipes import Recipe

SETTINGS = {"node": "n7"}


class Greeter(Installer):
    name = "greeter"

    def command(self, request, data_dir):
        return Command(["echo", "hello from", self.settings["node"]], data_dir, base_environment())


class Nameless(Installer):
    """Is called what its entry point is called."""


class Point:
    """An entry point."""

    def __init__(self, name, value):
        self.name = name
        self.value = f"package:{name}"
        self._value = value

    def load(self):
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def loaded(*points):
    """Return the installers, and what was told of those that were left out."""
    told = []
    found = installers.load(SETTINGS, lambda level, text: told.append(text), points)
    return found, told


def made(**members):
    return type("Made", (Installer,), {"name": "made", **members})()


def test_what_comes_with_the_agent():
    found, told = loaded()

    assert {"command", "file", "logger", "python", "script"} <= set(found)
    assert all(name == one.name for name, one in found.items())
    assert told == []


@pytest.mark.parametrize("value", [Greeter, Greeter()], ids=["class", "instance"])
def test_an_installer_of_a_third_party_is_run_like_our_own(tmp_path, value):
    found, told = loaded(Point("greeter", value))
    recipe = Recipe(tmp_path, installers=found)
    try:
        assert recipe.run(installer="greeter") == ("done", "")
        assert recipe.log() == b"hello from n7\n"
    finally:
        recipe.runner.close()
    assert told == []


def test_the_entry_point_names_an_installer_that_has_no_name():
    assert loaded(Point("mine", Nameless))[0]["mine"].name == "mine"


def test_entry_points_of_installed_packages_are_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "greeters.py").write_text(
        "from fieldconf_microagent.installer import Installer\n"
        "class Greeter(Installer):\n    name = 'greeter'\n"
    )
    info = tmp_path / "greeters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeters\nVersion: 1.0\n")
    points = info / "entry_points.txt"

    points.write_text("[other]\ngreeter = greeters:Greeter\n")
    assert "greeter" not in installers.load(SETTINGS, print)
    points.write_text("[fieldconf.installers]\ngreeter = greeters:Greeter\n")
    assert "greeter" in installers.load(SETTINGS, print)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (Point("broken", ImportError("no module named x")), "no module named x"),
        (Point("thing", object()), "it is no fieldconf_microagent.installer.Installer"),
        (Point("script", type("Script", (Greeter,), {"name": "script"})), "'script' is taken"),
        (Point("target", type("Target", (Greeter,), {"name": "target"})), "'target' is taken"),
    ],
    ids=["broken", "no installer", "built in", "reserved"],
)
def test_a_bad_one_is_told_and_left_out(point, said):
    found, told = loaded(point, Point("greeter", Greeter))

    assert len(told) == 1 and point.value in told[0] and said in told[0]
    assert set(found) - set(installers.BUILT_IN) == {"greeter"}
    assert type(found["script"]) is type(installers.BUILT_IN["script"])


def test_what_is_missing_is_told_in_words():
    def fails(self):
        raise OSError("disk on fire")

    found = {
        "a": made(),
        "b": made(missing=lambda self: "needs b: install b"),
        "c": made(missing=fails),
    }

    assert installers.lacking(found) == {
        "b": "needs b: install b",
        "c": "cannot tell whether it works here: OSError('disk on fire')",
    }


@pytest.fixture
def strange(tmp_path):
    """Return what runs a step with an installer that has these members."""
    recipes = []

    def run(**members):
        recipe = Recipe(tmp_path / str(len(recipes)), installers={"made": made(**members)})
        recipes.append(recipe)
        return recipe.run(installer="made"), recipe.log()

    for number in range(3):
        (tmp_path / str(number)).mkdir()
    yield run
    for recipe in recipes:
        recipe.runner.close()


def shell(script):
    return lambda self, request, data_dir: Command(
        ["sh", "-c", script], data_dir, base_environment()
    )


def test_an_installer_that_raises_fails_the_step_and_nothing_else(strange):
    def fails(self, *_):
        raise KeyError("oops")

    assert strange(command=fails)[0] == ("failed", "the installer made: KeyError('oops')")
    assert strange(command=shell("true"), outcome=fails)[0] == (
        "failed",
        "the installer made: KeyError('oops')",
    )
    assert strange(command=shell("true"))[0] == ("done", "")


def test_an_installer_says_what_an_exit_status_means(strange):
    def outcome(self, todo, status):
        return {2: ("done", "with changes"), 3: ("absent", "")}.get(status, ("failed", "no idea"))

    assert strange(command=shell("exit 2"), outcome=outcome) == (("done", ""), b"with changes\n")
    assert strange(command=shell("exit 3"), outcome=outcome) == (("absent", ""), b"")
    assert strange(command=shell("echo x; exit 4"), outcome=outcome)[0] == (
        "failed",
        "no idea\nx",
    )


def test_an_exit_status_in_words():
    assert [status_text(n) for n in (3, -9, -200)] == [
        "exit status 3", "ended by SIGKILL", "ended by signal 200",
    ]  # fmt: skip
