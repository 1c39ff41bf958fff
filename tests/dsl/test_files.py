"""Templates come from folders and ZIPs alike; what a stranger packed can do no harm."""

import os
import stat
import zipfile

import pytest

from fieldconf_dsl import files
from fieldconf_dsl.loader import load_template


def pack(folder, target, around=""):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, around + str(path.relative_to(folder)))
    return target


def contents(template):
    return {
        component: {path: (file.path, file.mode, file.read()) for path, file in recipe.items()}
        for component, recipe in template.recipes.items()
    }


@pytest.mark.parametrize("around", ["", "web-1.0/"], ids=["at the top", "in one folder"])
def test_zip_and_folder_are_alike(template, tmp_path, around):
    folder = template()
    (folder / "graph/Web/scripts/start.sh").chmod(0o755)

    from_folder = load_template(folder)
    from_zip = load_template(pack(folder, tmp_path / "t.zip", around))

    assert from_folder.problems == from_zip.problems == []
    assert from_zip.template.graph == from_folder.template.graph
    assert from_zip.template.instances == from_folder.template.instances
    assert contents(from_zip.template) == contents(from_folder.template)
    assert contents(from_zip.template)["Web"] == {
        "scripts/start.sh": ("scripts/start.sh", 0o755, b"#!/bin/sh\n")
    }


def test_recipe_is_inherited(load):
    graph = (
        "VM {\n installer: target;\n children: Web;\n}\nWeb {\n installer: script;\n}\n"
        "Shop {\n extends: Web;\n}\nBare {\n installer: target;\n}\n"
    )

    template = load({"graph/main.graph": graph}).template

    assert template.graph.components["Shop"].recipe_owner == "Web"
    assert template.graph.components["Bare"].recipe_owner is None
    assert template.recipes["Shop"] == template.recipes["Web"]
    assert set(template.recipes) == {"VM", "Web", "Shop"}


ATTACKS = {
    "a path above": ("../evil", 0o644 << 16, "leads out of it"),
    "a path above in the middle": ("graph/../../evil", 0o644 << 16, "leads out of it"),
    "an absolute path": ("/etc/evil", 0o644 << 16, "leads out of it"),
    "a drive": ("C:evil", 0o644 << 16, "leads out of it"),
    "a backslash": ("graph\\..\\evil", 0o644 << 16, "leads out of it"),
    "a link": ("graph/link", (stat.S_IFLNK | 0o777) << 16, "is a link"),
    "a device": ("graph/device", (stat.S_IFCHR | 0o666) << 16, "is a link or a device"),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=list(ATTACKS))
def test_zip_with_an_attack_is_refused_whole(attack, template, tmp_path):
    name, attributes, words = ATTACKS[attack]
    target = pack(template(), tmp_path / "t.zip")
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr = name, attributes
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(info, "/etc/passwd")

    loaded = load_template(target)

    assert loaded.template is None
    (problem,) = loaded.problems
    assert problem.code == "PROJ_EXTRACT_ZIP" and words in problem.message
    assert problem.file == str(target)


def test_zip_with_a_name_twice_is_refused(template, tmp_path):
    target = pack(template(), tmp_path / "t.zip")
    with zipfile.ZipFile(target, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("graph/main.graph", "Other {\n}")

    assert "twice" in load_template(target).problems[0].message


def test_zip_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ALL", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"graph/{number}", b"0" * 400_000)

    (problem,) = load_template(tmp_path / "bomb.zip").problems

    assert "unpacks to more than" in problem.message


def test_zip_that_lies_about_a_size_is_refused(template, tmp_path):
    target = pack(template(), tmp_path / "t.zip")
    size = len((template() / "graph/main.graph").read_bytes())
    packed = target.read_bytes().replace(
        size.to_bytes(4, "little"), (size - 50).to_bytes(4, "little")
    )
    target.write_bytes(packed)

    loaded = load_template(target)

    assert [p.code for p in loaded.problems] == ["PROJ_EXTRACT_ZIP"]


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_broken_zip_is_refused(cut, template, tmp_path):
    target = pack(template(), tmp_path / "t.zip")
    target.write_bytes(target.read_bytes()[:cut])

    assert [p.code for p in load_template(target).problems] == ["PROJ_EXTRACT_ZIP"]


def test_any_flipped_byte_is_survived(template, tmp_path):
    target = pack(template(), tmp_path / "t.zip")
    whole = target.read_bytes()
    for at in range(0, len(whole), 7):
        target.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])

        loaded = load_template(target)

        assert loaded.template is not None or loaded.problems


def test_too_many_files_are_refused(template, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 3)
    target = pack(template(), tmp_path / "t.zip")

    assert [p.code for p in load_template(target).problems] == ["PROJ_EXTRACT_ZIP"]
    assert [p.code for p in load_template(template()).problems] == ["FC_LIMIT_EXCEEDED"]


def test_link_out_of_a_folder_is_refused_and_one_inside_is_followed(template, tmp_path):
    folder = template()
    os.symlink("start.sh", folder / "graph/Web/scripts/stop.sh")
    assert load_template(folder).template.recipes["Web"]["scripts/stop.sh"].read() == b"#!/bin/sh\n"

    os.symlink("/etc/passwd", folder / "graph/Web/scripts/passwd")
    os.symlink("/etc", folder / "graph/Web/etc")

    loaded = load_template(folder)
    assert loaded.template is None
    assert [p.code for p in loaded.problems] == ["FC_UNSAFE_PATH"] * 2


def test_import_reads_nothing_outside(template, tmp_path):
    (tmp_path / "secret.graph").write_text("VM {\n}")
    folder = template({"graph/main.graph": "import ../../secret.graph;\nimport /secret.graph;\n"})

    codes = [p.code for p in load_template(folder).problems]

    assert codes == ["CO_UNREACHABLE_FILE"] * 2


def test_imports_may_go_in_circles(load):
    loaded = load(
        {
            "graph/main.graph": "import sub/vm.graph;\nimport main.graph;\n",
            "graph/sub/vm.graph": "import main.graph;\nVM {\n installer: target;\n}\n",
            "instances/main.instances": "instance of VM {\n name: vm;\n}\n",
        }
    )

    assert loaded.problems == []
    assert list(loaded.template.graph.components) == ["VM"]


def test_nothing_at_a_path_is_no_template(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_template(tmp_path / "nothing")


def test_folder_that_cannot_be_read_is_told_and_not_taken_for_empty(template, monkeypatch):
    folder = template()
    (folder / "graph" / "Web").mkdir(exist_ok=True)
    real_scandir = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("Web"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real_scandir(path)

    monkeypatch.setattr(os, "scandir", scandir)

    (problem,) = load_template(folder).problems

    assert "'graph/Web': Permission denied; let it be read" in str(problem)


def test_file_that_cannot_be_read_is_told(template, monkeypatch):
    folder = template()
    real_read = files._read_file

    def read(path):
        if path.name == "main.graph":
            raise OSError(5, "Input/output error")
        return real_read(path)

    monkeypatch.setattr(files, "_read_file", read)

    (problem,) = load_template(folder).problems

    assert str(problem) == (
        "graph/main.graph:1:1: P_IO_ERROR: "
        "cannot read the file: Input/output error; restore it and try again"
    )
