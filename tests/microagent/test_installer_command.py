"""Command lines declared in a recipe: what the file may say, and what is run."""

import shutil

import pytest

from fieldconf_microagent.installer_command import parsed

HELLO = '[start]\nrun = ["/bin/echo", "port ${port}", "a b", "$port"]\n'


def declare(recipe, text):
    recipe.write("installer.toml", text)


def run(recipe, step="start", **changes):
    return recipe.run(step, installer="command", **changes)


def test_the_declared_command_is_run_without_a_shell(recipe):
    declare(recipe, HELLO)

    assert run(recipe, exports={"port": "7; rm -rf $HOME 'x'"}) == ("done", "")
    assert recipe.log() == b"port 7; rm -rf $HOME 'x' a b $port\n"


def test_a_step_without_a_table_is_absent(recipe):
    declare(recipe, HELLO)

    assert run(recipe, "stop") == ("absent", "")


def test_a_command_gets_the_variables_of_the_step_and_its_own(recipe):
    declare(
        recipe,
        '[defaults]\nenvironment = { ONE = "1 ${port}", TWO = "2" }\n'
        '[start]\nrun = ["/bin/sh", "-c", "echo $port $ONE $TWO $ANCESTOR_VM_ip"]\n'
        'environment = { TWO = "two" }\n',
    )

    assert run(recipe) == ("done", "")
    assert recipe.log() == b"10000 1 10000 two 10.0.0.7\n"


@pytest.mark.parametrize(
    ("folder", "printed"),
    [("", "recipe"), ("files", "recipe/files"), ("${FIELDCONF_DATA_DIR}", "data/vm1+web")],
)
def test_a_command_runs_in_its_folder(recipe, tmp_path, folder, printed):
    recipe.write("files/x", "")
    declare(recipe, f'[start]\nrun = ["pwd"]\nfolder = "{folder}"\n')

    assert run(recipe) == ("done", "")
    assert recipe.log().decode().strip() == str(tmp_path / printed)


def test_a_program_with_a_slash_is_the_recipes_own(recipe):
    recipe.write("bin/tool", "#!/bin/sh\necho mine\n", 0o755)
    recipe.write("files/x", "")
    declare(recipe, '[start]\nrun = ["bin/tool"]\nfolder = "files"\n')

    assert run(recipe) == ("done", "")
    assert recipe.log() == b"mine\n"


@pytest.mark.parametrize(
    ("status", "good", "outcome"),
    [(0, "[0]", "done"), (2, "[0, 2]", "done"), (3, "[0, 2]", "failed"), (0, "[2]", "failed")],
)
def test_exit_statuses_mean_what_the_file_says(recipe, status, good, outcome):
    declare(recipe, f'[start]\nrun = ["/bin/sh", "-c", "exit {status}"]\ngood = {good}\n')

    assert run(recipe) == (outcome, "" if outcome == "done" else f"exit status {status}")


def test_a_time_limit_of_the_step_comes_before_the_components(recipe):
    declare(recipe, '[start]\nrun = ["sleep", "600"]\nlimit = "200ms"\n')

    assert run(recipe) == ("timeout", "not finished after 0.2 s")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[start]\nrun = ["no-such-tool"]', "there is no no-such-tool on this machine"),
        ('[start]\nrun = ["./files/x"]', "cannot run ./files/x: Permission denied"),
        ('[start]\nrun = ["pwd"]\nfolder = "none"', "cannot run pwd: there is no folder"),
        ('[start]\nrun = ["echo", "${prot}"]', "there is no variable 'prot' in this step"),
        ("[start]\nrun = []", "[start] run must be a list of a program and its arguments"),
        ("", None),
        (b"[start]\nrun = '\xff'", "it is not UTF-8"),
    ],
    ids=["no tool", "no run bit", "no folder", "no variable", "nothing to run", "empty", "bytes"],
)
def test_what_cannot_be_run_is_told_in_words(recipe, text, said):
    recipe.write("files/x", "")
    declare(recipe, text)

    outcome, detail = run(recipe)

    assert outcome == ("failed" if said else "absent")
    assert (said or "") in detail


def test_a_recipe_without_the_file_is_told(recipe):
    assert run(recipe) == ("failed", "the recipe has no installer.toml, which says what to run")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[strat]\nrun = ['a']", "'strat' is no step; steps are deploy, start"),
        ("start = 1", "'start' must be a table"),
        ("[start]\nrum = ['a']", "[start] has no key 'rum'; keys are run, folder"),
        ("[start]\nfolder = 'a'", "[start] run is missing"),
        ("[start]\nrun = 'echo'", "[start] run must be a list"),
        ("[start]\nrun = ['a', 1]", "[start] run must be a list"),
        ("[start]\nrun = ['a']\ngood = [0, 256]", "[start] good must be a list of exit statuses"),
        ("[start]\nrun = ['a']\ngood = [true]", "good must be"),
        ("[start]\nrun = ['a']\nlimit = 'soon'", "[start] limit must be a duration"),
        ("[start]\nrun = ['a']\nlimit = 9", "limit must be"),
        ("[start]\nrun = ['a']\nenvironment = 'X=1'", "environment must be a table"),
        ("[start]\nrun = ['a']\nenvironment = {'A=B' = '1'}", "environment must be"),
        ("[defaults]\nrun = ['a']", "[defaults] run: belongs into the table of a step"),
        ("[start\n", "at line 1"),
    ],
)
def test_a_slip_in_the_file_is_told_with_its_place(text, said):
    with pytest.raises(ValueError) as raised:
        parsed(text)

    assert said in str(raised.value)


# A real tool that needs no server: CFEngine.

POLICY = """\
bundle agent main {
  vars:
    "data" string => getenv("FIELDCONF_DATA_DIR", 4096);
  files:
    "$(data)/port.conf"
      create => "true",
      edit_defaults => from_nothing,
      edit_line => listening;
}
body edit_defaults from_nothing {
  empty_file_before_editing => "true";
}
bundle edit_line listening {
  vars:
    "port" string => getenv("port", 16);
  insert_lines:
    "listen $(port)";
}
"""
# Its keys and caches lie in the data folder; CFEngine wants its checker there as well.
PREPARE = """\
set -e
mkdir -p bin inputs ppkeys
chmod 700 . bin inputs ppkeys
ln -sf "$(command -v cf-promises)" bin/cf-promises
[ -e ppkeys/localhost.priv ] || cf-key
"""
CFENGINE = """\
[defaults]
folder = "${FIELDCONF_DATA_DIR}"
environment = { CFENGINE_TEST_OVERRIDE_WORKDIR = "${FIELDCONF_DATA_DIR}" }

[deploy]
run = ["sh", "${FIELDCONF_RECIPE_DIR}/files/prepare.sh"]

[start]
run = ["cf-agent", "--no-lock", "--inform", "--file", "${FIELDCONF_RECIPE_DIR}/files/main.cf"]

[update]
run = ["cf-agent", "--no-lock", "--inform", "--file", "${FIELDCONF_RECIPE_DIR}/files/main.cf"]
"""


@pytest.mark.skipif(not shutil.which("cf-agent"), reason="needs cf-agent (Debian: cfengine3)")
def test_cfengine_brings_an_instance_to_what_its_variables_say(recipe):
    recipe.write("files/main.cf", POLICY)
    recipe.write("files/prepare.sh", PREPARE)
    declare(recipe, CFENGINE)
    conf = recipe.data_root / "vm1+web" / "port.conf"

    assert run(recipe, "deploy") == ("done", "")
    assert run(recipe, "start") == ("done", "")
    assert conf.read_text() == "listen 10000\n"
    assert b"Edited file" in recipe.log()
    assert run(recipe, "update", exports={"port": "$(10001)"}) == ("done", "")
    assert conf.read_text() == "listen $(10001)\n"
    assert b"Edited file" in recipe.log()
    assert run(recipe, "start", exports={"port": "$(10001)"}) == ("done", "")
    assert b"Edited file" not in recipe.log()
