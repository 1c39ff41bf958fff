"""Steps as processes: every way they can end, what they print and leave behind."""

import gc
import os
import signal

import pytest

from fieldconf_microagent.children import TAIL, Output
from fieldconf_microagent.python_step import ABSENT_STATUS
from support.recipes import Recipe, lives, pid_in
from support.waiting import until

# Outcomes


def test_a_script_that_ends_well_is_done(recipe):
    recipe.write("scripts/start.sh", "echo hello $port\n")

    assert recipe.run() == ("done", "")
    assert recipe.log() == b"hello 10000\n"
    assert recipe.runner.busy() == 0


def test_a_failure_tells_status_and_last_lines(recipe):
    recipe.write("scripts/start.sh", "echo one\necho two >&2\nexit 3\n")

    assert recipe.run() == ("failed", "exit status 3\none\ntwo")


def test_a_signal_is_named(recipe):
    recipe.write("scripts/start.sh", "kill -SEGV $$\n")

    assert recipe.run() == ("failed", "ended by SIGSEGV")


@pytest.mark.parametrize("installer", ["script", "python"])
def test_a_missing_step_is_absent(recipe, installer):
    assert recipe.run(installer=installer) == ("absent", "")
    assert recipe.run(installer=installer, recipe_dir=None) == ("absent", "")


def test_an_unknown_installer_fails_in_words(recipe):
    outcome, detail = recipe.run(installer="of-nobody")

    assert outcome == "failed"
    assert "'of-nobody'" in detail


def test_no_exit_status_of_a_script_means_absent(recipe):
    recipe.write("scripts/start.sh", f"exit {ABSENT_STATUS}\n")

    assert recipe.run()[0] == "failed"


def test_the_logger_writes_the_step(recipe):
    assert recipe.run("update", installer="logger", recipe_dir=None) == ("done", "")
    assert recipe.runner.logs() == [("/vm1/web", "update", b"update /vm1/web\n")]


# Time limits and cancelling


def test_a_step_over_its_time_is_ended_with_its_group(recipe):
    recipe.write("scripts/start.sh", 'sleep 600 & echo $! > "$FIELDCONF_DATA_DIR/pid"\nwait\n')

    outcome, detail = recipe.run(timeout_ms=300)

    assert (outcome, detail) == ("timeout", "not finished after 0.3 s")
    pid = pid_in(recipe.data_root / "vm1+web" / "pid")
    until(lambda: not lives(pid))


def test_a_step_that_ignores_sigterm_is_killed(recipe):
    recipe.write("scripts/start.sh", "trap '' TERM\necho ready\nwhile :; do sleep 0.05; done\n")

    recipe.start()
    until(lambda: b"ready" in recipe.log())
    recipe.runner.cancel("/vm1/web")

    assert recipe.end_of() == ("cancelled", "cancelled\nready")


def test_what_a_step_waits_for_ends_with_it_in_a_session_of_its_own_too(recipe, tmp_path):
    recipe.write(
        "scripts/start.sh", f"setsid --wait sh -c 'echo $$ > {tmp_path}/pid; sleep 600' & wait\n"
    )
    recipe.start()
    child = pid_in(tmp_path / "pid")

    recipe.runner.cancel("/vm1/web")

    assert recipe.end_of()[0] == "cancelled"
    assert not lives(child)


def test_a_step_has_time_to_clean_up_when_it_is_cancelled(recipe):
    recipe.write(
        "scripts/start.sh",
        "trap 'touch \"$FIELDCONF_DATA_DIR/cleaned\"; exit 1' TERM\n"
        "echo ready\nwhile :; do sleep 0.05; done\n",
    )

    recipe.start()
    until(lambda: b"ready" in recipe.log())
    recipe.runner.cancel("/vm1/web")

    assert recipe.end_of()[0] == "cancelled"
    assert (recipe.data_root / "vm1+web" / "cleaned").exists()


def test_a_time_limit_may_be_a_year(recipe):
    recipe.write("scripts/start.sh", "sleep 0.2\n")

    assert recipe.run(timeout_ms=366 * 86_400_000) == ("done", "")


def test_cancelling_nothing_is_fine(recipe):
    recipe.runner.cancel("/nobody")

    assert recipe.runner.poll() == []


def test_a_waiting_step_can_be_cancelled(tmp_path):
    recipe = Recipe(tmp_path, limit=1)
    recipe.write("scripts/start.sh", "sleep 600\n")
    try:
        recipe.start(path="/a")
        recipe.start(path="/b")
        assert recipe.runner.busy() == 2
        recipe.runner.cancel("/b")
        assert recipe.end_of("/b")[0] == "cancelled"
        recipe.runner.cancel("/a")
        assert recipe.end_of("/a")[0] == "cancelled"
    finally:
        recipe.runner.close()


def test_steps_wait_for_their_turn_in_order(tmp_path):
    recipe = Recipe(tmp_path, limit=1)
    recipe.write("files/order", "")
    recipe.write(
        "scripts/start.sh",
        'cd "$FIELDCONF_FILES_DIR"\nmkdir running || exit 1\n'
        "echo $ROBOCONF_INSTANCE_NAME >> order\nsleep 0.05\nrmdir running\n",
    )
    try:
        for name in "abcdef":
            recipe.start(path="/" + name)
        for name in "abcdef":
            assert recipe.end_of("/" + name) == ("done", "")
    finally:
        recipe.runner.close()

    assert (recipe.folder / "files/order").read_text().split() == list("abcdef")


def test_two_steps_of_one_instance_are_refused(recipe):
    recipe.write("scripts/start.sh", "sleep 600\n")
    recipe.start()

    with pytest.raises(ValueError, match="/vm1/web runs a step already"):
        recipe.start("update")


def test_close_ends_every_process(tmp_path):
    recipe = Recipe(tmp_path)
    recipe.write("scripts/start.sh", 'echo $$ > "$FIELDCONF_DATA_DIR/pid"\nsleep 600\n')
    for name in "abc":
        recipe.start(path="/" + name)
    pids = [pid_in(recipe.data_root / name / "pid") for name in "abc"]

    recipe.runner.close()
    recipe.runner.close()

    until(lambda: not any(lives(pid) for pid in pids))


# Services that a script leaves running


@pytest.mark.parametrize("how", ["sleep 600 &", "setsid sleep 600 &", "nohup sleep 600 &"])
def test_a_service_left_running_neither_blocks_nor_dies(recipe, how):
    recipe.write(
        "scripts/start.sh",
        f'{how}\necho $! > "$FIELDCONF_DATA_DIR/pid"\necho started\n',
    )

    assert recipe.run() == ("done", "")
    pid = pid_in(recipe.data_root / "vm1+web" / "pid")
    try:
        assert b"started" in recipe.log()
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_service_may_go_on_printing_to_the_log(recipe):
    recipe.write(
        "scripts/start.sh",
        '(while [ ! -e "$FIELDCONF_DATA_DIR/end" ]; do echo tick; sleep 0.02; done) &\n'
        'echo $! > "$FIELDCONF_DATA_DIR/pid"\n',
    )
    assert recipe.run() == ("done", "")
    pid = pid_in(recipe.data_root / "vm1+web" / "pid")

    recipe.log()
    until(lambda: b"tick" in recipe.log())

    assert lives(pid)
    (recipe.data_root / "vm1+web" / "end").touch()
    until(lambda: not lives(pid))


# Output


def test_much_output_neither_blocks_nor_fills_memory(recipe):
    recipe.write(
        "scripts/start.py",
        "import sys\nfor i in range(1600):\n    sys.stdout.write('x' * 65536 + '\\n')\n"
        "print('the end')\nsys.exit(1)\n",
    )

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert detail.startswith("exit status 1\n") and detail.endswith("the end")
    assert len(detail) < 2200
    log = recipe.log()
    assert len(log) < 128 * 1024
    assert log.endswith(b"bytes left out]\n")


def test_of_all_output_only_the_end_is_kept():
    output = Output()
    for _ in range(10):
        output.add(b"x" * TAIL + b"\n")
    output.add(b"the end")

    assert len(output.tail) == TAIL
    assert output.tail.endswith(b"\nthe end")


def test_output_need_not_be_text(recipe):
    recipe.write("scripts/start.sh", b"printf '\\377\\000caf\\303\\251\\n'\nexit 1\n")

    assert recipe.run() == ("failed", "exit status 1\n\ufffd\x00café")


def test_logs_that_nobody_asks_for_are_bounded(recipe):
    recipe.write("scripts/check.sh", "echo well\n")
    for _ in range(270):
        assert recipe.run("check")[0] == "done"

    assert 1 <= len(recipe.runner.logs()) <= 256


# Data folders


def test_the_data_folder_stays_until_it_is_forgotten(recipe):
    recipe.write("scripts/start.sh", 'touch "$FIELDCONF_DATA_DIR/kept"\n')
    recipe.write("scripts/stop.sh", 'test -e "$FIELDCONF_DATA_DIR/kept"\n')

    assert recipe.run("start") == ("done", "")
    assert recipe.run("stop") == ("done", "")
    recipe.runner.forget("/vm1/web")
    assert recipe.run("stop")[0] == "failed"
    recipe.runner.forget("/nobody")


def test_a_full_disk_or_a_file_in_the_way_is_a_failure(recipe):
    recipe.write("scripts/start.sh", "true\n")
    recipe.data_root.write_text("in the way")

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert "data" in detail


def test_no_file_stays_open_and_none_is_closed_twice(tmp_path):
    recipe = Recipe(tmp_path)
    recipe.write("scripts/start.sh", 'sleep 600 &\necho $! > "$FIELDCONF_DATA_DIR/pid"\n')
    recipe.write("scripts/check.sh", "true\n")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert recipe.run("check") == ("done", "")
    assert len(os.listdir("/proc/self/fd")) == before

    assert recipe.run("start") == ("done", "")
    recipe.runner.close()
    # Whoever opens a file now gets a number that was ours.
    files = [open(os.devnull, "rb") for _ in range(20)]
    del recipe.runner
    gc.collect()
    try:
        assert [file.read() for file in files] == [b""] * 20
    finally:
        os.kill(pid_in(recipe.data_root / "vm1+web" / "pid"), signal.SIGKILL)
        for file in files:
            file.close()


def test_an_installer_that_cannot_tell_beforehand_says_so(recipe):
    recipe.write("scripts/start.sh", "echo ran\n")

    assert recipe.run(preview=True) == ("absent", "")
    assert recipe.runner.logs() == [
        (
            "/vm1/web",
            "preview start",
            b"preview: absent: no step start, or script cannot tell beforehand\n",
        )
    ]
