"""What the console is made of, and how it is served: nothing from elsewhere, no path leads out."""

import re
from pathlib import PurePosixPath

import pytest

from fieldconf_coordinator import console

FILES = console.files()
SCRIPTS = {path: file.body.decode() for path, file in FILES.items() if path.endswith(".js")}
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")


@pytest.mark.parametrize("path", sorted(SCRIPTS))
def test_a_module_imports_what_there_is(path):
    imported = re.findall(r'^import .*?from "(.*?)";', SCRIPTS[path], re.MULTILINE | re.DOTALL)

    for name in imported:
        parts = []
        for part in (PurePosixPath(path).parent / name).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        assert "/".join(parts) in FILES


@pytest.mark.parametrize("path", sorted(SCRIPTS))
def test_a_module_makes_no_markup_of_text_and_asks_nobody_else(path):
    assert not MARKUP.search(SCRIPTS[path])
    assert set(re.findall(r"https?://[^\s\"'`]+", SCRIPTS[path])) <= {"http://www.w3.org/2000/svg"}


def test_the_page_is_served_with_a_policy_that_allows_its_own_files_only(running):
    answer = running.get("//")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


def test_a_part_that_is_known_is_not_sent_again(running):
    first = running.get("//console/app.js")

    again = running.get("//console/app.js", If_None_Match=first.headers["etag"])

    assert (first.status, again.status, again.body) == (200, 304, b"")


@pytest.mark.parametrize(
    "path", ["no.js", "../__init__.py", "%2e%2e/__init__.py", "__init__.py", "pages", ""]
)
def test_nothing_else_is_served(running, path):
    assert running.get(f"//console/{path}").status == 404
