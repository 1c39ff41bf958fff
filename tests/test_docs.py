"""The documentation says what is so: links, the template of the guide, pages made from tables."""

import inspect
import os
import re
import shutil
from pathlib import Path

import pytest

from fieldconf_dsl import check, loader, writer
from fieldconf_microagent import recipe, variables
from support import guide, reference

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
#: Folders that hold no documents of ours.
_OTHERS = {".git", ".venv", "build", "node_modules"}

PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", "examples/*/README.md")
    for page in sorted(ROOT.glob(pattern))
    if not _OTHERS & set(page.relative_to(ROOT).parts)
]


def prose(text):
    """Return a page without its blocks of code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(text):
    """Return the anchors of the headings of a page, made as hosts of Git make them."""
    found = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists():
            dead.append(link)
        elif anchor and anchor not in anchors(target.read_text()):
            dead.append(link)

    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_ours_that_is_named_exists(page):
    tops = "coordinator|docs|dsl|examples|firmware-images|microagent|targets|tests"
    named = re.findall(rf"`((?:{tops})/[\w./-]+)`", page.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_map_of_the_agent_names_every_module():
    page = (ROOT / "microagent" / "README.md").read_text()
    modules = {file.stem for file in (ROOT / "microagent").glob("*/[a-z]*.py")}

    assert modules == modules & set(re.findall(r"`(\w+)`", page))


def test_the_names_that_templates_see_are_all_told():
    request = {"path": "/a/b", "name": "b", "component": "B", "application": "x", "step": "start"}
    request |= {"recipe_dir": "/r", "exports": {}, "imports": {"Web": [["/c", {}]]}}

    seen = variables.context(request, "/data")

    names = {name for name in seen if not name.startswith(("ROBOCONF_", "FIELDCONF_"))}
    told = dict(reference.CONTEXT)
    assert names == (set(told) | {"Web"}) - {"<name>", "<Prefix>"}
    assert all(f"`{name}`" in told["<Prefix>"] for name in seen["Web"][0])


# -- the guide


@pytest.fixture
def shop(tmp_path):
    return guide.write(tmp_path / "shop")


def test_template_of_the_guide_is_right(shop):
    loaded = loader.load_template(shop)

    assert [str(problem) for problem in loaded.problems] == []
    assert sorted(loaded.template.graph.components) == ["Box", "Data", "Web"]
    assert len(loaded.template.instances) == 4
    assert loaded.template.settings == {"lost-after": "30s", "check.every": "5s"}


def test_template_of_the_guide_has_the_canonical_form(shop):
    for file in [*shop.glob("graph/*.graph"), *shop.glob("instances/*")]:
        assert writer.format_text(file.read_text()) == file.read_text()


def test_examples_have_the_canonical_form():
    results = check.format_paths([ROOT / "examples"], check_only=True)

    assert len(results) >= 14
    assert [path for path, differs in results if differs] == []


def test_mistake_that_the_guide_shows_is_told_in_these_words(shop):
    graph = shop / "graph/shop.graph"
    graph.write_text(graph.read_text().replace("Data.port", "Data.prot"))

    (problem,), _ = check.check_paths([shop])

    assert f"```\n{problem.severity}: {problem}\n1 severe, 0 warnings\n```" in guide.text()


def test_first_application_of_the_readme_is_right(tmp_path):
    (graph,) = re.findall(
        r"```\n# graph/main.graph\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    shutil.copytree(ROOT / "examples/web-cluster/descriptor", tmp_path / "descriptor")
    (tmp_path / "graph").mkdir()
    (tmp_path / "instances").mkdir()
    (tmp_path / "graph/main.graph").write_text(graph)
    (tmp_path / "instances/main.instances").write_text("instance of Box {\n  name: box;\n}\n")

    loaded = loader.load_template(tmp_path)

    assert [str(problem) for problem in loaded.problems if problem.is_severe] == []
    assert loaded.template is not None


# -- pages made from tables


def test_every_attribute_of_python_recipes_is_told():
    there = re.findall(r"self\.([a-z]\w*)\b.* = ", inspect.getsource(recipe.Instance.__init__))
    told = "".join(name for name, _ in reference.attributes(recipe.Instance))

    assert set(re.findall(r"`(\w+)`", told)) == set(there)


@pytest.mark.parametrize("page", reference.PAGES)
def test_page_says_what_the_code_says(page):
    made = reference.PAGES[page]()
    if os.environ.get("FIELDCONF_WRITE_DOCS"):
        (REFERENCE / page).write_text(made)

    assert (REFERENCE / page).exists() and (REFERENCE / page).read_text() == made, (
        "out of date: run FIELDCONF_WRITE_DOCS=1 pytest tests/test_docs.py"
    )
