"""Copies of deployed templates: whole, checked, found again, and deleted when nobody needs them."""

import shutil
import zipfile
from pathlib import Path

import pytest

from fieldconf_coordinator.service.recipes import RecipeStore
from fieldconf_coordinator.service.templates import TemplateError, Templates

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"


@pytest.fixture
def templates(tmp_path):
    return Templates(tmp_path / "templates", RecipeStore(tmp_path / "recipes"))


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(WEB_CLUSTER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def kept_copies(templates):
    return sorted(path.name for path in templates._folder.iterdir())


def test_kept_template_is_found_again_without_its_source(templates, copy):
    kept = templates.keep(copy)
    shutil.rmtree(copy)

    again = templates.load(kept.ref)

    assert (again.name, again.version) == ("web-cluster", "1.0")
    assert again.instances == kept.template.instances
    assert set(kept.digests) == {"Balancer", "Data", "Web"} | ({"VM"} & set(kept.digests))


def test_same_content_is_kept_once_and_a_change_apart(templates, copy):
    first = templates.keep(copy)
    assert templates.keep(copy).ref == first.ref

    (copy / "graph" / "Web" / "scripts" / "stop.sh").write_text("#!/bin/sh\n")
    second = templates.keep(copy)

    assert second.ref != first.ref
    assert second.digests["Web"] != first.digests["Web"]
    assert second.digests["Data"] == first.digests["Data"]
    assert kept_copies(templates) == sorted([first.ref, second.ref])


def test_another_version_of_a_template_has_the_same_recipes(templates, copy):
    first = templates.keep(copy)
    descriptor = copy / "descriptor" / "application.properties"
    descriptor.write_text(descriptor.read_text().replace("version = 1.0", "version = 2.0"))

    second = templates.keep(copy)

    assert (first.template.version, second.template.version) == ("1.0", "2.0")
    assert second.digests == first.digests


def test_another_installer_is_another_recipe(templates, copy):
    first = templates.keep(copy)
    graph = copy / "graph" / "main.graph"
    graph.write_text(graph.read_text().replace("installer: script", "installer: logger", 1))

    second = templates.keep(copy)

    assert len([name for name in first.digests if first.digests[name] != second.digests[name]]) == 1


def test_zip_and_folder_give_the_same_recipes(templates, copy, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in copy.rglob("*"):
            archive.write(file, file.relative_to(copy))

    assert templates.keep(tmp_path / "a.zip").digests == templates.keep(copy).digests


def test_run_bits_survive(templates, copy):
    script = copy / "graph" / "Web" / "scripts" / "extra"
    script.write_bytes(b"\x7fELF")
    script.chmod(0o755)

    kept = templates.keep(copy)

    assert kept.template.recipes["Web"]["scripts/extra"].mode == 0o755


def test_refused_template_leaves_nothing(templates, copy):
    (copy / "graph" / "main.graph").write_text("VM {")

    with pytest.raises(TemplateError, match="has errors") as caught:
        templates.keep(copy)

    assert caught.value.problems
    assert kept_copies(templates) == []


def test_refusal_does_not_delete_the_copy_that_an_application_uses(templates, copy, monkeypatch):
    kept = templates.keep(copy)

    def full(packed):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(templates._recipes, "add", full)
    with pytest.raises(OSError, match="No space"):
        templates.keep(copy)

    assert kept_copies(templates) == [kept.ref]


def test_unused_copies_are_deleted(templates, copy):
    first = templates.keep(copy)
    (copy / "README.md").write_text("changed")
    second = templates.keep(copy)

    templates.collect({second.ref})

    assert kept_copies(templates) == [second.ref]
    with pytest.raises(TemplateError):
        templates.load(first.ref)


def test_half_a_copy_is_deleted_at_the_next_start(templates, copy, tmp_path):
    (tmp_path / "templates" / "abc.new").mkdir()

    Templates(tmp_path / "templates", RecipeStore(tmp_path / "recipes"))

    assert kept_copies(templates) == []


def test_nothing_there_is_told(templates, tmp_path):
    with pytest.raises(TemplateError, match="there is no template at"):
        templates.keep(tmp_path / "nowhere")
