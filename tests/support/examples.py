"""The examples as their READMEs show them: what one types, what is answered, what is needed."""

import glob
import re
import shlex
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.commands import fieldconf

EXAMPLES = Path(__file__).parents[2] / "examples"

#: A file of every package of Debian that the examples run, as a pattern.
PROGRAMS = {
    "apache2-bin": "/usr/sbin/apache2",
    "libapache2-mod-jk": "/usr/lib/apache2/modules/mod_jk.so",
    "tomcat10-common": "/usr/share/tomcat10/bin/catalina.sh",
    "default-jre-headless": "/usr/bin/java",
    "mariadb-server-core": "/usr/sbin/mariadbd",
    "mariadb-client-core": "/usr/bin/my_print_defaults",
    "php-cgi": "/usr/bin/php-cgi",
    "php-mysql": "/usr/lib/php/*/mysqli.so",
    "procps": "/usr/bin/pgrep",
}

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def needs(packages=PROGRAMS):
    """Skip the test unless a file of every package is there."""
    lacking = [name for name, file in packages.items() if not glob.glob(file)]
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


def type_in(box, template, checks):
    """Run the commands of an example's README, deploying `template`; look each time whether it did.

    Args:
        checks: by command, in order; answers whether what the README says is so, given what was
            printed. The second `deploy` is called "deploy again".
    """
    said = [words for words in commands(template.name) if words[0] != "up"]
    assert [words[0] for words in said] == [name.split()[0] for name in checks]
    for (name, *words), (moment, is_so) in zip(said, checks.items(), strict=True):
        words = [str(template) if name == "deploy" else word for word in words]
        status, out, err = fieldconf(box.data, name, *words, timeout_s=300)
        assert status == 0, (name, out, err)
        assert is_so(out), (moment, out)


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
