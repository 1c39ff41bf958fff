"""The examples as their READMEs show them: the commands, what is asked over HTTP, what is needed."""

import os
import re
import shlex
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def needs(**tools):
    """Skip the test unless the files of all packages are there: ``haproxy="/usr/sbin/haproxy"``."""
    lacking = [name for name, file in tools.items() if not os.path.exists(file)]
    if lacking:
        pytest.skip("needs packages of Debian: " + ", ".join(lacking))


def copy(name, folder):
    """Return the folder of an example's copy, to be changed."""
    return Path(shutil.copytree(EXAMPLES / name, folder / name))


def commands(name):
    """Return the words of each `fieldconf` line of an example's README, without `fieldconf`."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("fieldconf ")]


def page(address, method="GET", body=None):
    """Return (HTTP status, text) of a page; (None, why) where nobody answers."""
    request = urllib.request.Request(address, data=body, method=method)
    try:
        with _open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return None, str(error)
