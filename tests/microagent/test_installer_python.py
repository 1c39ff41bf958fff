"""Python recipes in processes of their own."""

import os

import pytest

from support import waiting
from support.recipes import lives


def test_a_python_recipe_is_called_with_the_instance(recipe):
    recipe.write(
        "recipe.py",
        "import os, helper\n"
        "def update(instance):\n"
        "    instance.log(helper.WORD)\n"
        "    for path, values in instance.imports['Data']:\n"
        "        print(path, values['port'], instance.changed['added'] == instance.imports)\n"
        "    print(os.getcwd() == instance.recipe_dir, os.path.isdir(instance.data_dir))\n",
    )
    recipe.write("helper.py", "WORD = 'beside'\n")
    imports = {"Data": [["/vm2/data", {"port": "7"}]]}

    outcome = recipe.run(
        "update",
        installer="python",
        imports=imports,
        changed={"added": imports, "removed": {}, "changed": {}},
    )

    assert outcome == ("done", "")
    assert recipe.log() == b"beside\n/vm2/data 7 True\nTrue True\n"
    assert not (recipe.folder / "__pycache__").exists()


def test_a_python_step_without_function_is_absent(recipe):
    recipe.write("recipe.py", "def start(instance):\n    pass\n")

    assert recipe.run("start", installer="python") == ("done", "")
    assert recipe.run("stop", installer="python") == ("absent", "")


def test_an_async_step_runs_to_its_end(recipe):
    recipe.write(
        "recipe.py",
        "import asyncio\nasync def start(i):\n    await asyncio.sleep(0.01)\n    i.log('slept')\n",
    )

    assert recipe.run(installer="python") == ("done", "")
    assert recipe.log() == b"slept\n"


def test_an_exception_shows_the_recipes_lines(recipe):
    recipe.write("recipe.py", "def start(instance):\n    raise KeyError('no port')\n")

    outcome, detail = recipe.run(installer="python")

    assert outcome == "failed"
    assert "recipe.py" in detail and "line 2" in detail
    assert detail.endswith("KeyError: 'no port'")
    assert "python_step.py" not in detail


@pytest.mark.parametrize("code", ["100", "'words'", "7"])
def test_sys_exit_is_a_failure_and_not_an_absence(recipe, code):
    recipe.write("recipe.py", f"import sys\ndef start(instance):\n    sys.exit({code})\n")

    outcome, detail = recipe.run(installer="python")

    assert outcome == "failed"
    assert f"sys.exit({code})" in detail


def test_a_python_recipe_takes_values_of_any_length(recipe):
    recipe.write("recipe.py", "def start(instance):\n    print(len(instance.exports['big']))\n")

    assert recipe.run(installer="python", exports={"big": "x" * 1_000_000}) == ("done", "")
    assert recipe.log() == b"1000000\n"


TIMED = """
def start(instance):
    def tick():
        print(instance.node, instance.instance, flush=True)
        raise OSError("sensor is away")
    instance.every(20, tick)

def update(instance):
    instance.every(20, lambda: print("updated", flush=True))
"""


def test_a_function_is_called_every_so_often_until_the_instance_stops(recipe):
    recipe.write("recipe.py", TIMED)
    log = recipe.data_root / "vm1+web/every.log"
    pid = log.with_name("every.pid")

    assert recipe.run(installer="python", node="n1") == ("done", "")
    first = int(pid.read_text().split()[0])
    waiting.until(lambda: log.exists() and log.read_text().count("n1 /vm1/web") >= 3)
    assert "sensor is away" in log.read_text()

    assert recipe.run("update", installer="python") == ("done", "")
    assert not lives(first)
    waiting.until(lambda: log.read_text().startswith("updated"))

    second = int(pid.read_text().split()[0])
    assert recipe.run("stop", installer="python") == ("absent", "")
    assert not lives(second)
    assert not pid.exists()


def test_what_was_left_behind_is_ended_also_when_it_has_not_begun_yet(recipe):
    """The system may let it wait for as long as it likes: whoever comes next knows of it."""
    recipe.write("recipe.py", "import os\n" + TIMED + SLOW)
    pid = recipe.data_root / "vm1+web/every.pid"

    assert recipe.run(installer="python") == ("done", "")
    first = int(pid.read_text().split()[0])
    assert recipe.run("stop", installer="python") == ("absent", "")

    assert not lives(first)
    assert not pid.exists()


# The grandchild of the step, which knows that it is one by its session, is held up at its start.
SLOW = """
fork = os.fork
def slow():
    pid = fork()
    if not pid and os.getsid(0) != os.getpid() and os.getppid() == os.getsid(0):
        import time
        time.sleep(5)
    return pid
os.fork = slow
"""


def test_what_does_not_mind_being_asked_to_end_is_killed(recipe):
    recipe.write("recipe.py", DEAF)
    pid = recipe.data_root / "vm1+web/every.pid"
    log = pid.with_name("every.log")
    assert recipe.run(installer="python") == ("done", "")
    waiting.until(lambda: log.exists() and "deaf" in log.read_text())
    first = int(pid.read_text().split()[0])

    assert recipe.run("stop", installer="python") == ("absent", "")

    assert not lives(first)


DEAF = """
import signal

def start(instance):
    def tick():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
    instance.every(20, tick)
"""


def test_a_stranger_with_the_number_of_the_former_process_is_left_alone(recipe):
    recipe.write("recipe.py", "def stop(instance):\n    pass\n")
    recipe.run("start", installer="python")
    (recipe.data_root / "vm1+web/every.pid").write_text(f"{os.getpid()} 1")

    assert recipe.run("stop", installer="python") == ("done", "")
