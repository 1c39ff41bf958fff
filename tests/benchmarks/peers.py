"""What others take for the same: pyinfra over ssh, installed by pip into an environment of its own.

Nodes are users of one throwaway sshd on loopback as far as pyinfra knows: each has a name, a
connection and a folder of its own. What cannot be had is told with `Unavailable`.
"""

import getpass
import os
import subprocess
import sys
import time
from pathlib import Path

from bench import Unavailable, find, free_port, running, until

_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
PermitRootLogin yes
UsePAM no
Subsystem sftp internal-sftp
StrictModes no
MaxStartups 200
MaxSessions 200
"""
_INVENTORY = """\
hosts = [
    (f"node{{n}}", {{
        "ssh_hostname": "127.0.0.1", "ssh_port": {port}, "ssh_user": "{user}",
        "ssh_key": "{folder}/key", "ssh_strict_host_key_checking": "off",
        "ssh_known_hosts_file": "{folder}/known_hosts", "place": f"{folder}/nodes/{{n}}",
    }})
    for n in range({count})
]
"""
_DEPLOY = """\
from pyinfra import host
from pyinfra.operations import files, server

put = files.put(src="{folder}/page", dest=host.data.place + "/page")
server.shell(commands=["sh " + host.data.place + "/upgrade.sh"], _if=put.did_change)
"""


def pyinfra(folder, count, times):
    """Return the seconds of `times` runs of pyinfra that bring a changed file to `count` nodes."""
    program = _installed(folder / "venv")
    with _sshd(folder) as port:
        for number in range(count):
            place = folder / "nodes" / str(number)
            place.mkdir(parents=True, exist_ok=True)
            (place / "upgrade.sh").write_text("echo ran >> $(dirname $0)/ran\n")
        inventory = _INVENTORY.format(port=port, user=getpass.getuser(), folder=folder, count=count)
        (folder / "inventory.py").write_text(inventory)
        (folder / "deploy.py").write_text(_DEPLOY.format(folder=folder))
        return [_run(program, folder, count, number) for number in range(times)]


def _run(program, folder, count, number):
    (folder / "page").write_text(f"page {count} {number} {time.time()}\n")
    before = _scripts_run(folder, count)
    began = time.perf_counter()
    command = [program, "-y", "inventory.py", "deploy.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode or _scripts_run(folder, count) != before + count:
        raise Unavailable(f"pyinfra failed: {(done.stdout + done.stderr)[-500:]}")
    return seconds


def _scripts_run(folder, count):
    files = [folder / "nodes" / str(number) / "ran" for number in range(count)]
    return sum(len(file.read_text().splitlines()) for file in files if file.exists())


def _installed(venv):
    """Install pyinfra and return its program."""
    program = venv / "bin/pyinfra"
    if not program.exists():
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for command in (
            [sys.executable, "-m", "venv", venv],
            [venv / "bin/pip", "install", "-q", "pyinfra"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, env=clean)
            if done.returncode:
                raise Unavailable(f"cannot install pyinfra: {done.stderr[-300:]}")
    return program


def _sshd(folder):
    """Run an sshd that lets our key in; a context that gives its port."""
    return _Sshd(folder)


class _Sshd:
    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        program, keygen = find("sshd"), find("ssh-keygen")
        for name in ("host", "key"):
            if not (self.folder / name).exists():
                command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name]
                subprocess.run(command, check=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        port = free_port()
        config = self.folder / "sshd_config"
        config.write_text(_SSHD.format(port=port, folder=self.folder))
        log = self.folder / "sshd.log"
        self.process = running([program, "-D", "-e", "-f", config], log)
        self.process.__enter__()
        until(lambda: log.exists() and "listening" in log.read_text(), 10)
        return port

    def __exit__(self, *error):
        return self.process.__exit__(*error)
