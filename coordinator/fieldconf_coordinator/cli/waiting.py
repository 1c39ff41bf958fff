"""Waits until a change is done, and tells what happens meanwhile and what it waits for."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import click

from fieldconf_microagent import states

from .common import first_line, print_json
from .remote import Remote

_LOOK_S = 0.1
# Of the time, what asking how far it is may take.
_SHARE = 5
# So long without news, and one wants to know why.
_QUIET_S = 10.0
# What follows the first line of a problem, below it.
_INDENTED = "\n" + " " * 11
# What a step printed last is at its end.
_MOST_LINES = 8


def finish(
    remote: Remote,
    answer: Mapping[str, Any],
    wait: bool,
    timeout: float | None,
    as_json: bool = False,
) -> int:
    """Wait for the change that a request began, telling what happens; return the exit status."""
    if not wait or "change" not in answer:
        if as_json:
            print_json(answer)
        else:
            change = answer.get("change")
            click.echo("done" if change is None else f"change {change} is under way")
        return 0
    try:
        status = _follow(remote, answer["change"], timeout, as_json)
    except KeyboardInterrupt:
        end = f"'fieldconf cancel {answer['change']}' ends it and puts back what was wished"
        click.echo(f"\nit goes on; {end}", err=True)
        raise
    if as_json:
        change = remote.change(answer["change"])
        print_json({**answer, **{name: change[name] for name in ("outcome", "steps")}})
    return status


def _follow(remote: Remote, change_id: str, timeout: float | None, to_err: bool) -> int:
    began = moved = time.monotonic()
    lines = Progress()
    is_told = False
    while True:
        asked = time.monotonic()
        change = remote.change(change_id)
        for line in lines.news(change):
            click.echo(line, err=to_err)
            moved, is_told = time.monotonic(), False
        if change["outcome"] != "running":
            return 0 if change["outcome"] == "done" else 1
        now = time.monotonic()
        if timeout is not None and now > began + timeout:
            click.echo("error: not done in time; it goes on, see 'fieldconf status'", err=True)
            return 1
        if now > moved + _QUIET_S and not is_told:
            is_told = True
            if _tell_why(remote, change, lines.problems.values()):
                return 1
        time.sleep(max(_LOOK_S, _SHARE * (now - asked)))


def _tell_why(remote: Remote, change: Mapping[str, Any], told: Collection[str] = ()) -> bool:
    """Tell what a change waits for; return whether waiting here makes no sense any more."""
    left = [step for step in change["steps"] if not step["done"]]
    tell_reasons(remote, change["application"], [step["path"] for step in left], told)
    if not all(step["state"] in (states.UNRESOLVED, states.WAITING) for step in left):
        click.echo(
            f"  Ctrl-C ends this waiting; 'fieldconf cancel {change['id']}' what is under way.",
            err=True,
        )
        return False
    click.echo("error: not done; it goes on by itself when what is missing is there", err=True)
    return True


def tell_reasons(
    remote: Remote, app: str, paths: Iterable[str], told: Collection[str] = ()
) -> bool:
    """Tell why instances are not as they are wished; return whether there is a reason.

    Of problems that were told already only the first line is said again.
    """
    why = (remote.why(app, path) for path in paths)
    # What many wait for is told once; what a script said may have many lines.
    lines = dict.fromkeys(f"{one['path']} {one['text']}" for reasons in why for one in reasons)
    for line in lines:
        if any(line.endswith(problem) for problem in told):
            line = line.partition("\n")[0]
        click.echo("  waiting  " + line.replace("\n", _INDENTED), err=True)
    return bool(lines)


# What a node reports before it knows what to run.
_BEFORE = ("not-deployed", "unknown")


class Progress:
    """Tells what is new in a change, line by line.

    Attributes:
        problems: path → the problem that was told of it last, whole.
    """

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._told: dict[str, str] = {}
        # Path → problem of before the change, and whether it has been tried again since.
        self._before: dict[str, tuple[str, bool]] = {}

    def news(self, change: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line for every instance that moved on, and one for the end."""
        done = f"{change['done']}/{change['total']}"
        for step in change["steps"]:
            text = self._of(step)
            if text is not None:
                yield f"  {done:>7}  {step['path']}: {text}"
        if change["outcome"] == "superseded":
            yield "  a later change took the place of this one"
        elif change["outcome"] == "done":
            yield f"  {done:>7}  done"

    def _of(self, step: Mapping[str, Any]) -> str | None:
        """Return what is new of an instance, None where nothing is."""
        path, state, problem = step["path"], str(step["state"]), step["problem"]
        if problem and not step["done"]:
            # It is tried again and again; only what goes wrong in another way is news.
            if problem[1] == self.problems.get(path) or self._is_of_before(path, state, problem[1]):
                return None
            self.problems[path], self._told[path] = problem[1], state
            return f"{state}; {_whole(*problem[:2])}"
        text = f"{state}; {first_line(*problem[:2])}" if problem else state
        is_first, before = path not in self._told, self._told.get(path)
        self._told[path] = text
        # Where it stood before anything happened is no news.
        is_news = step["done"] or problem or not (is_first or text in _BEFORE)
        return text if text != before and is_news else None

    def _is_of_before(self, path: str, state: str, problem: str) -> bool:
        """Tell whether an instance had this problem before the change, and not again since."""
        if path not in self._told and states.is_stable(state):
            self._told[path], self._before[path] = state, (problem, False)
        before, is_tried = self._before.get(path, ("", False))
        if before != problem:
            return False
        self._before[path] = problem, is_tried or not states.is_stable(state)
        return not (is_tried and states.is_stable(state))


def _whole(code: str, text: str) -> str:
    """Return a problem with what follows its first line, or the end of that."""
    more = text.strip().splitlines()[1:]
    more = ["…", *more[1 - _MOST_LINES :]] if len(more) > _MOST_LINES else more
    return _INDENTED.join([first_line(code, text), *more])
