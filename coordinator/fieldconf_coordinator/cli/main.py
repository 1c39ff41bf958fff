"""The command line ``fieldconf``: the group, and how errors reach people and scripts.

The commands stand in the modules beside this one, by what they are about. They import what they
need when they run, so that ``fieldconf check`` does not wait for a broker's library.

Exit status: 0 done; 1 refused, or something is wrong with what was given; 2 it could not be run.
"""

import errno
import os
import sys
from typing import NoReturn

import click

from fieldconf_microagent.version import VERSION

from ..errors import RequestError
from . import (
    applications,
    audit,
    cancelling,
    context_commands,
    enrolling,
    flash,
    images,
    language,
    lines,
    node_commands,
    previewing,
    run,
    show,
)
from .client import NOT_ASKED
from .common import COULD_NOT_RUN, examples, told
from .context_commands import COMPLETE

_MODULES = (
    run,
    applications,
    cancelling,
    previewing,
    show,
    node_commands,
    language,
    lines,
    context_commands,
    audit,
    images,
    flash,
    enrolling,
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=examples(
        "fieldconf demo                         see it at work",
        "fieldconf up                           run a coordinator, in one terminal",
        "fieldconf deploy examples/web-cluster  use it, in another one",
    ),
)
@click.version_option(VERSION, prog_name="fieldconf")
def group() -> None:
    """Deploy and reconfigure distributed applications."""


for _module in _MODULES:
    for _command in _module.COMMANDS:
        group.add_command(_command)


def _cannot_write(error: OSError) -> NoReturn:
    """End when the disk under our output is full, or gone."""
    click.echo(f"error: cannot write: {error.strerror}; make room on the disk", err=True)
    # What is left in the buffer cannot be written either; Python would complain at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(COULD_NOT_RUN)


def main() -> None:
    """Run the command of this process's arguments and exit."""
    try:
        status = group.main(prog_name="fieldconf", complete_var=COMPLETE, standalone_mode=False)
    except RequestError as error:
        told(error)
        sys.exit(COULD_NOT_RUN if error.code in NOT_ASKED else 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Somebody piped us into `head`; Python would complain once more at its end.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _cannot_write(error)
    sys.exit(status if isinstance(status, int) else 0)
