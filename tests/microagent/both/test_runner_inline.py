"""Steps called in the agent's loop, on both Pythons."""

from fieldconf_microagent import compat
from fieldconf_microagent.runner_inline import MOST_LOG, InlineRunner

RECIPE = """
import asyncio

seen = []

def start(instance):
    instance.log("start " + instance.exports["port"])
    seen.append(instance.path)

def update(instance):
    with open(instance.rendered_dir + "/list") as file:
        instance.log(file.read())

def stop(instance):
    raise ValueError("cannot stop because of " + instance.cause)

def check(instance):
    instance.log(",".join(seen))

def deploy(instance):
    raise SystemExit

async def undeploy(instance):
    await asyncio.sleep(0.001)
    instance.log("slept")

async def upgrade(instance):
    instance.log("upgrading")
    await asyncio.sleep(600)
"""


class Stage:
    """A runner in a folder of its own; `with` deletes it."""

    def __init__(self, text=RECIPE):
        self.folder = "/tmp/fieldconf-test-" + compat.hex(compat.random_bytes(8))
        self.recipe = self.folder + "/recipe"
        compat.makedirs(self.recipe)
        self.write("recipe.py", text)
        self.write("list.mustache", "{{#Web}}{{path}} {{/Web}}")
        self.woken = 0
        self.runner = InlineRunner(self.folder + "/data", self.wake)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.runner.close()
        compat.remove_tree(self.folder)

    def wake(self):
        self.woken += 1

    def write(self, name, text):
        with open(self.recipe + "/" + name, "w") as file:
            file.write(text)

    def start(self, step, path="/vm/web", **changes):
        request = {
            "path": path,
            "name": path.split("/")[-1],
            "component": "Web",
            "installer": "python",
            "digest": b"1",
            "recipe_dir": self.recipe,
            "step": step,
            "exports": {"port": "80"},
            "ancestors": [],
            "imports": {"Web": [["/vm2/web", {}], ["/vm3/web", {}]]},
            "changed": None,
            "cause": None,
            "application": "shop",
            "timeout_ms": 60000,
        }
        request.update(changes)
        self.runner.start(request)

    def results(self):
        """Poll, as often as the runner asks for it, until nothing is under way."""
        found = []
        while self.runner.busy():
            assert self.woken, "nobody would poll again"
            self.woken = 0
            found += self.runner.poll()
        return found + self.runner.poll()

    def run(self, step, **changes):
        self.start(step, **changes)
        results = self.results()
        assert len(results) == 1, results
        return results[0][1:]

    def log(self):
        return b"".join(text for _, _, text in self.runner.logs())


def test_a_function_is_called_with_the_instance():
    with Stage() as stage:
        assert stage.run("start") == ("done", "")
        assert stage.runner.logs() == [("/vm/web", "start", b"start 80\n")]
        assert stage.runner.logs() == []


def test_a_simulated_step_calls_nothing_whatever_its_installer():
    with Stage() as stage:
        for installer in ("python", "puppet"):
            assert stage.run("start", installer=installer, simulate=True) == ("done", "")
            assert stage.log() == b"simulated start /vm/web\n"
        assert stage.run("check", simulate=True) == ("absent", "")
        assert stage.run("check") == ("done", "")
        assert stage.log() == b"\n"


def test_start_returns_before_the_step_runs():
    with Stage() as stage:
        stage.start("start")

        assert stage.woken == 1
        assert stage.log() == b""
        assert stage.runner.busy() == 1


def test_templates_are_rendered_first():
    with Stage() as stage:
        assert stage.run("update") == ("done", "")
        assert stage.log() == b"/vm2/web /vm3/web \n"


def test_an_exception_fails_the_step_with_type_and_message():
    with Stage() as stage:
        outcome, detail = stage.run("stop", cause="wanted")

        assert outcome == "failed"
        assert detail.split("\n")[-1] == "ValueError: cannot stop because of wanted"


def test_a_recipe_cannot_end_the_agent():
    with Stage() as stage:
        assert stage.run("deploy")[0] == "failed"


def test_a_recipe_that_does_not_load_fails():
    with Stage("def start(:\n") as stage:
        assert stage.run("start")[0] == "failed"
        stage.write("recipe.py", "def start(i):\n    pass\n")
        assert stage.run("start") == ("done", "")


def test_missing_steps_are_absent():
    with Stage("x = 1\n") as stage:
        assert stage.run("start") == ("absent", "")
        assert stage.run("start", recipe_dir=None) == ("absent", "")


def test_other_installers_fail_in_words():
    with Stage() as stage:
        outcome, detail = stage.run("start", installer="script")

        assert outcome == "failed"
        assert "'script'" in detail


def test_the_logger_writes_the_step():
    with Stage() as stage:
        assert stage.run("start", installer="logger") == ("done", "")
        assert stage.log() == b"start /vm/web\n"


def test_instances_share_a_loaded_recipe_until_the_last_is_forgotten():
    with Stage() as stage:
        for path in ("/a", "/b"):
            assert stage.run("start", path=path) == ("done", "")
        stage.runner.forget("/a")
        stage.log()
        assert stage.run("check", path="/b") == ("done", "")
        assert stage.log() == b"/a,/b\n"

        stage.runner.forget("/b")
        assert stage.run("check", path="/b") == ("done", "")
        assert stage.log() == b"\n"


def test_forget_deletes_the_data():
    with Stage() as stage:
        stage.run("start")
        assert compat.exists(stage.runner.data_dir("/vm/web"))

        stage.runner.forget("/vm/web")

        assert not compat.exists(stage.runner.data_dir("/vm/web"))


def test_an_async_step_goes_on_while_others_run():
    with Stage() as stage:
        stage.start("undeploy", path="/a")
        stage.start("start", path="/b")

        assert sorted(stage.results()) == [("/a", "done", ""), ("/b", "done", "")]
        assert b"slept" in stage.log()


def test_an_async_step_ends_at_its_time_limit():
    with Stage() as stage:
        assert stage.run("upgrade", timeout_ms=20)[0] == "timeout"
        assert stage.log() == b"upgrading\n"


def test_an_async_step_can_be_cancelled_before_and_after_its_first_line():
    with Stage() as stage:
        stage.start("upgrade")
        stage.runner.poll()
        stage.runner.cancel("/vm/web")
        assert [result[1] for result in stage.results()] == ["cancelled"]

        stage.start("upgrade")
        stage.runner.cancel("/vm/web")
        assert [result[1] for result in stage.results()] == ["cancelled"]
        stage.runner.cancel("/nobody")


def test_two_steps_of_one_instance_are_refused():
    with Stage() as stage:
        stage.start("start")
        try:
            stage.start("stop")
        except ValueError as error:
            assert "/vm/web" in str(error)
        else:
            raise AssertionError("accepted")


def test_the_log_is_bounded():
    with Stage("def start(i):\n    for n in range(5000):\n        i.log('line')\n") as stage:
        assert stage.run("start") == ("done", "")
        log = stage.log()

        assert len(log) <= MOST_LOG + 30
        assert log.endswith(b"[more was left out]\n")
        assert stage.run("start") == ("done", "")
        assert stage.log().startswith(b"line\n")


TIMED = """
calls = []

def start(instance):
    instance.every(10, lambda: tick(instance))
    instance.every(15, fail)

def tick(instance):
    calls.append(1)
    instance.log(instance.node + " " + instance.instance)

def fail():
    raise OSError("sensor is away")

def update(instance):
    instance.every(5, lambda: instance.log("updated"))

def stop(instance):
    pass
"""


def rung(stage, least):
    """Return what the functions logged, once there are so many lines."""
    found = []
    clock = compat.Clock()
    while len(found) < least:
        assert clock.now_ms() < 5000, found
        stage.runner.poll()
        found.extend((step, text) for _, step, text in stage.runner.logs())
    return found


def test_functions_are_called_every_so_often_until_the_instance_stops():
    with Stage(TIMED) as stage:
        assert stage.runner.next_wake() is None
        stage.run("start", node="n1")
        assert 0 <= stage.runner.next_wake() <= 10

        found = rung(stage, 6)
        assert ("start", b"n1 /vm/web\n") in found
        assert [text for step, text in found if step == "every" and b"sensor is away" in text]

        stage.run("update")
        stage.runner.logs()
        assert set(rung(stage, 3)) == {("update", b"updated\n")}

        stage.run("stop")
        assert stage.runner.next_wake() is None
