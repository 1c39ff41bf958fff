"""Interactive shells on a pseudo-terminal, as somebody at the keyboard meets them."""

import os
import pty
import select
import shlex
import shutil
import signal
import time

import pytest

from support.commands import command

#: Shell → how it is started without the files of whoever runs the tests.
STARTED = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
#: Shell → what makes it complete `fieldconf`, as the command's help says.
SET_UP = {
    "bash": 'eval "$(fieldconf completion bash)"',
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(fieldconf completion zsh)"',
    "fish": "fieldconf completion fish | source",
}
_PATIENCE_S = 60


class Shell:
    """A shell in which ``fieldconf`` is recorded, but for what completes."""

    def __init__(self, name, folder, **variables):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
        self._calls = folder / "calls"
        self._calls.touch()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self._write(bin_folder / "fieldconf")
        environment = {
            **os.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "dumb",
            **variables,
        }
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvpe(name, STARTED[name], environment)
        self.printed = ""

    def _write(self, path):
        real, calls = shlex.join(command()), shlex.quote(str(self._calls))
        path.write_text(
            "#!/bin/sh\n"
            f'[ -n "$_FIELDCONF_COMPLETE" ] && exec {real} "$@"\n'
            f'[ "$1" = completion ] && exec {real} "$@"\n'
            f'echo "$*" >> {calls}\n'
        )
        path.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def type(self, keys):
        os.write(self._terminal, keys.encode())

    def ready(self, *commands):
        """Run commands and wait until they are done."""
        for line in commands:
            self.type(line + "\n")
        # The echo of what is typed must not pass for what it prints.
        self.type("echo rea''dy\n")
        self._wait(lambda: "ready" in self.printed)

    def called(self, keys):
        """Type a line and Enter; return the arguments with which ``fieldconf`` was called."""
        before = self._lines()
        self.type(keys + "\n")
        self._wait(lambda: len(self._lines()) > len(before))
        return self._lines()[-1].strip()

    def _lines(self):
        return self._calls.read_text().splitlines()

    def _wait(self, condition):
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.printed
            # A shell stops when nobody reads what it prints.
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.printed += os.read(self._terminal, 65536).decode(errors="replace")
