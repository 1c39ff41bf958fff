"""What the process of a `python` step runs: one function of the recipe (CPython only).

The request and the data folder come on standard input, marshalled: the process that wrote them runs
the same Python, and most modules that could read something else take as long to import as the rest
of a step. What the recipe prints and logs goes to standard output; so does the traceback of an
exception, without our own frames.
"""

import marshal
import os
import sys

from .recipe import ENDING, Instance, load, step_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Exit status that says: the recipe has no such step. (A recipe's own sys.exit becomes 1.)
ABSENT_STATUS = 100


def main() -> int:
    """Run the step that standard input tells of and return the exit status."""
    request, data_dir = marshal.load(sys.stdin.buffer)
    _leave_stdin()
    recipe_dir = request["recipe_dir"]
    # The first entry is the folder that this package was found in.
    sys.path[0] = recipe_dir
    os.chdir(recipe_dir)
    if request["step"] in ENDING:
        _timers().end(data_dir)
    timers: "list[Any]" = []
    instance = Instance(request, data_dir, _print_line, lambda ms, f: timers.append((ms, f)))
    try:
        status = run(instance)
        if timers:
            _timers().end(data_dir)
            _timers().begin(data_dir, timers)
        return status
    except SystemExit as error:
        return _exit_status(error)
    except BaseException as error:
        _print_error(error)
        return 1


def _timers() -> "Any":
    """Most recipes do without them, and start sooner so."""
    from . import python_timers

    return python_timers


def run(instance: Instance) -> int:
    """Call the recipe's function for the instance's step, and see an `async def` to its end."""
    function = step_of(load(instance.recipe_dir), instance.step)
    if function is None:
        return ABSENT_STATUS
    result: Any = function(instance)
    if hasattr(result, "__await__"):
        import asyncio

        asyncio.run(_await(result))
    return 0


async def _await(result: "Any") -> None:
    await result


def _exit_status(error: SystemExit) -> int:
    if error.code is None or error.code == 0:
        return 0
    print(f"the recipe called sys.exit({error.code!r})", flush=True)
    return 1


def _print_error(error: BaseException) -> None:
    """Print the traceback from the first line that is not this package's."""
    import traceback

    ours = os.path.dirname(__file__)
    where = error.__traceback__
    while where is not None and os.path.dirname(where.tb_frame.f_code.co_filename) == ours:
        where = where.tb_next
    lines = traceback.format_exception(type(error), error, where)
    print("".join(lines), end="", flush=True)


def _print_line(text: str) -> None:
    print(text, flush=True)


def _leave_stdin() -> None:
    """Give services that the recipe starts an empty input rather than our request."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
