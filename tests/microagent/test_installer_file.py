"""Files put in place: the instructions, what is done, and what is never touched."""

import errno
import hashlib
import http.server
import os
import threading
from pathlib import Path

import pytest

from fieldconf_microagent import file_step, installers
from fieldconf_microagent.file_instructions import Instruction, parsed
from fieldconf_microagent.file_places import Place
from support.recipes import Recipe

WAR = b"a web application" * 1000
DIGEST = hashlib.sha256(WAR).hexdigest()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "srv"
    root.mkdir()
    return root


@pytest.fixture
def recipe(tmp_path, root):
    found = installers.load({"roots": [str(root)]}, print, [])
    recipe = Recipe(tmp_path, installers=found)
    recipe.data = recipe.data_root / "vm1+web"
    yield recipe
    recipe.runner.close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        size = len(WAR) + (5 if self.path == "/cut.war" else 0)
        known = self.path in ("/app.war", "/cut.war")
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(size if known else 0))
        self.end_headers()
        if known:
            self.wfile.write(WAR)

    def log_message(self, *_): ...


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def do(recipe, *lines, step="deploy", **changes):
    text = "".join(f"{step}.{line}\n" for line in lines)
    recipe.write("instructions.properties", text)
    return recipe.run(step, installer="file", **changes)


def tree(folder):
    """Return the paths of all files below a folder."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# The file


def test_instructions_are_read_by_step_and_position():
    text = """
    # comment
    ! another
    deploy.10.delete = b
    deploy.9.copy = files/a -> b c
    deploy.9.move : x->y
    undeploy.0.delete: c
    update.123456789012345678901234567890.delete=d
    """

    assert parsed(text) == {
        "deploy": [
            Instruction("deploy.9.copy", "copy", "files/a", "b c"),
            Instruction("deploy.9.move", "move", "x", "y"),
            Instruction("deploy.10.delete", "delete", "", "b"),
        ],
        "undeploy": [Instruction("undeploy.0.delete", "delete", "", "c")],
        "update": [
            Instruction("update.123456789012345678901234567890.delete", "delete", "", "d"),
        ],
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deploy.1.chmod = a", "unknown action 'chmod'; actions are download, copy, move, delete"),
        ("deploys.1.copy = a -> b", "'deploys' is no step; steps are deploy, start"),
        ("deploy.x.copy = a -> b", "the position 'x' is no number"),
        ("deploy.-1.copy = a -> b", "the position '-1' is no number"),
        ("deploy.copy = a -> b", "expected <step>.<position>.<action>, not 'deploy.copy'"),
        ("deploy.1.copy = a ->", "expected FROM -> TO, not 'a ->'"),
        ("deploy.1.copy", "expected <step>.<position>.<action> = …"),
        ("deploy.1.delete =", "deploy.1.delete says nothing"),
        ("deploy.1.download = ftp://x/y", "expected an address, http://… or https://…"),
        ("deploy.1.download = file:///etc/passwd -> x", "not 'file:///etc/passwd'"),
        ("deploy.1.download = http://x sha256=12", "expected sha256=<64 hex digits>"),
        ("deploy.1.delete = a\ndeploy.1.delete = b", "line 2: deploy.1.delete stands twice"),
    ],
)
def test_a_slip_is_told_with_its_line(line, said):
    with pytest.raises(ValueError) as raised:
        parsed(line)

    assert said in str(raised.value)


def test_a_slip_in_another_step_fails_this_one_before_anything_is_done(recipe):
    recipe.write("files/a", "a")
    text = "deploy.1.copy = files/a -> a\nundeploy.1.remove = a\n"
    recipe.write("instructions.properties", text)

    outcome, detail = recipe.run("deploy", installer="file")

    assert outcome == "failed"
    assert detail.startswith("cannot use instructions.properties: line 2: unknown action 'remove'")
    assert tree(recipe.data) == []


def test_a_recipe_without_instructions_is_told(recipe):
    assert recipe.run(installer="file") == (
        "failed",
        "the recipe has no instructions.properties, which says what to do",
    )


def test_a_step_without_instructions_is_absent(recipe):
    recipe.write("instructions.properties", "deploy.1.delete = a\n")

    assert recipe.run("start", installer="file") == ("absent", "")


# What is done


def test_files_and_folders_are_copied_moved_and_deleted_in_order(recipe, root):
    recipe.write("files/site/index.html", "hello")
    recipe.write("files/site/img/logo.svg", "logo", 0o600)

    assert do(
        recipe,
        "10.delete = site/img",
        f"9.copy = files/site -> {root}/site",
        "2.move = one.html -> two.html",
        "0.copy = files/site -> site",
        "1.copy = files/site/index.html -> one.html",
        "11.delete = nothing/there",
    ) == ("done", "")

    assert tree(recipe.data) == ["site/index.html", "two.html"]
    assert tree(root) == ["site/img/logo.svg", "site/index.html"]
    assert (root / "site/img/logo.svg").stat().st_mode & 0o777 == 0o600
    assert b"copied " in recipe.log()


def test_what_is_put_somewhere_replaces_what_was_there(recipe):
    recipe.write("files/a/new", "new")
    (recipe.data / "a").mkdir(parents=True)
    (recipe.data / "a/old").write_text("old")
    (recipe.data / "b").write_text("old")

    assert do(recipe, "1.copy = files/a -> a", "2.copy = files/a/new -> b") == ("done", "")

    assert tree(recipe.data) == ["a/new", "b"]
    assert (recipe.data / "b").read_text() == "new"


def test_a_name_that_ends_with_a_slash_is_a_folder_to_put_it_in(recipe):
    recipe.write("files/a", "a")

    assert do(recipe, "1.copy = files/a -> conf/", "2.move = conf/a -> other/") == ("done", "")
    assert tree(recipe.data) == ["other/a"]


def test_a_file_does_not_replace_a_folder(recipe):
    recipe.write("files/a", "a")
    (recipe.data / "a/b").mkdir(parents=True)

    outcome, detail = do(recipe, "1.copy = files/a -> a")

    assert outcome == "failed"
    assert "a folder is there" in detail
    assert (recipe.data / "a/b").is_dir()


@pytest.mark.parametrize("to", ["a/b", "a", "a/b/c/d"])
def test_a_folder_is_not_copied_into_itself(recipe, to):
    (recipe.data / "a").mkdir(parents=True)
    (recipe.data / "a/x").write_text("x")

    outcome, detail = do(recipe, f"1.copy = ${{FIELDCONF_DATA_DIR}}//a -> {to}")

    assert outcome == "failed"
    assert "into itself" in detail
    assert tree(recipe.data) == ["a/x"]


def test_variables_are_filled_in(recipe):
    recipe.write("app.conf.mustache", "port={{port}}")

    assert do(
        recipe, "1.copy = ${FIELDCONF_RENDERED_DIR}/app.conf -> ${port}/app.conf", step="start"
    ) == ("done", "")
    assert (recipe.data / "10000/app.conf").read_text() == "port=10000"


def test_what_belongs_into_the_instance_above_is_put_there(recipe):
    recipe.write("files/app.war", "app")
    (recipe.data_root / "vm1+web").mkdir(parents=True)
    line = "1.copy = files/app.war -> ${FIELDCONF_PARENT_DATA_DIR}/webapps/"

    assert do(recipe, line, path="/vm1/web/app") == ("done", "")
    assert tree(recipe.data_root) == ["vm1+web/webapps/app.war"]

    # A machine has no folder.
    outcome, detail = do(recipe, line)
    assert (outcome, "refused" in detail) == ("failed", True)


def test_a_value_with_blanks_and_arrows_stays_one_word(recipe):
    recipe.write("files/a", "a")

    assert do(recipe, "1.copy = files/a -> ${port}", exports={"port": "x -> y"}) == ("done", "")
    assert tree(recipe.data) == ["x -> y"]


def test_a_variable_that_is_not_there_is_told(recipe):
    outcome, detail = do(recipe, "1.delete = ${prot}")

    assert (outcome, detail) == (
        "failed",
        "there is no variable 'prot' in this step, named in '${prot}'",
    )


def test_a_source_that_is_not_there_is_told(recipe):
    recipe.write("files/a", "a")

    assert do(recipe, "1.copy = files/b -> b")[1].startswith("exit status 1\ndeploy.1.copy: ")
    assert "no such file" in do(recipe, "7.move = b -> c")[1]


def test_a_move_to_another_disk_is_complete_there_before_it_is_gone_here(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("b")
    rename = Place.rename

    def refuse(place, to):
        if place.name == "a":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(place, to)

    monkeypatch.setattr(Place, "rename", refuse)
    where = file_step.Workplace(str(tmp_path), str(tmp_path), [])
    file_step._move(file_step.Todo("deploy.1.move", "move", "a", "c", ""), where)

    assert tree(tmp_path) == ["c/b"]


@pytest.mark.parametrize("roots", ["/srv", ["srv"], [1]])
def test_roots_that_are_no_paths_are_told(tmp_path, roots):
    recipe = Recipe(tmp_path, installers=installers.load({"roots": roots}, print, []))
    try:
        outcome, detail = do(recipe, "1.delete = a")
    finally:
        recipe.runner.close()

    assert outcome == "failed"
    assert "the agent's setting 'roots' must list absolute paths" in detail


# Downloads


def test_a_download_comes_whole_and_with_its_digest(recipe, site):
    assert do(recipe, f"1.download = {site}/app.war sha256={DIGEST} -> lib/") == ("done", "")

    assert (recipe.data / "lib/app.war").read_bytes() == WAR
    assert tree(recipe.data) == ["lib/app.war"]


def test_a_download_without_a_digest_tells_what_it_is(recipe, site):
    assert do(recipe, f"1.download = {site}/app.war -> app.war") == ("done", "")
    assert f"sha256={DIGEST}".encode() in recipe.log()


def test_a_download_without_a_place_is_moved_from_where_it_is_kept(recipe, site):
    assert do(recipe, f"1.download = {site}/app.war", "2.move = app.war") == ("done", "")
    assert tree(recipe.data) == ["app.war"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("/app.war sha256=" + "0" * 64, f"its sha256 is {DIGEST}, expected 0000"),
        ("/none.war", "HTTP Error 404"),
        ("/cut.war", "it ended after 17000 of 17005 bytes"),
    ],
)
def test_a_download_that_is_not_what_was_meant_leaves_the_old_file(recipe, site, what, said):
    recipe.data.mkdir(parents=True)
    (recipe.data / "app.war").write_text("old")

    outcome, detail = do(recipe, f"1.download = {site}{what} -> app.war", "2.delete = app.war")

    assert outcome == "failed"
    assert said in detail
    assert tree(recipe.data) == ["app.war"]
    assert (recipe.data / "app.war").read_text() == "old"


def test_a_server_that_is_not_there_is_told(recipe, site):
    outcome, detail = do(recipe, "1.download = http://127.0.0.1:1/x -> x")

    assert outcome == "failed"
    assert "cannot download http://127.0.0.1:1/x: " in detail


def test_an_address_may_come_from_a_variable_but_leads_to_the_web_only(recipe, site):
    url = {"url": f"{site}/app.war"}
    assert do(recipe, "1.download = ${url} -> app.war", exports=url) == ("done", "")

    outcome, detail = do(recipe, "1.download = ${url} -> x", exports={"url": "file:///etc/passwd"})

    assert outcome == "failed"
    assert "expected http://… or https://…" in detail
    assert not (recipe.data / "x").exists()


def test_a_step_that_downloads_for_too_long_is_ended(recipe):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as silent:  # nobody serves
        address = f"http://127.0.0.1:{silent.server_port}/app.war"
        outcome, detail = do(recipe, f"1.download = {address} -> app.war", timeout_ms=500)

    assert (outcome, detail) == ("timeout", "not finished after 0.5 s")
    assert not (recipe.data / "app.war").exists()


# What is never touched


OUTSIDE = [
    "1.copy = files/a -> /tmp/fieldconf-never",
    "1.copy = files/a -> ../x",
    "1.copy = files/a -> a/../../x",
    "1.copy = /etc/hostname -> x",
    "1.copy = ../recipe/files/a -> x",
    "1.copy = files/a -> ${FIELDCONF_RECIPE_DIR}/b",
    "1.move = ${FIELDCONF_RECIPE_DIR}/files/a -> x",
    "1.move = /etc/hostname -> x",
    "1.delete = /etc/hostname",
    "1.delete = ..",
    "1.delete = .",
    "1.delete = ${FIELDCONF_DATA_DIR}",
    "1.delete = ${FIELDCONF_RECIPE_DIR}/files/a",
    "1.download = http://127.0.0.1:1/x -> /etc/x",
    "1.copy = files/a -> ${port}",
]


@pytest.mark.parametrize("line", OUTSIDE)
def test_a_path_outside_is_refused(recipe, line):
    recipe.write("files/a", "a")

    outcome, detail = do(recipe, line, exports={"port": "../../../x"})

    assert outcome == "failed"
    assert "refused" in detail
    assert tree(recipe.data) == []
    assert tree(recipe.folder) == ["files/a", "instructions.properties"]


@pytest.mark.parametrize(
    "line",
    [
        "1.copy = files/a -> link/b",
        "1.copy = ${FIELDCONF_DATA_DIR}/link/secret -> b",
        "1.copy = ${FIELDCONF_DATA_DIR}/link -> b",
        "1.copy = files -> b",
        "1.move = link/secret -> b",
        "1.delete = link/secret",
        "1.delete = link",
    ],
)
def test_a_link_is_never_followed(recipe, tmp_path, line):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    recipe.write("files/a", "a")
    (recipe.folder / "files/to").symlink_to(outside / "secret")
    recipe.data.mkdir(parents=True)
    (recipe.data / "link").symlink_to(outside)

    outcome, detail = do(recipe, line)

    assert outcome == "failed"
    assert "refused" in detail
    assert tree(outside) == ["secret"]
    assert os.listdir(recipe.data) == ["link"]


def test_what_a_link_in_a_deleted_folder_points_to_stays(recipe, tmp_path):
    (recipe.data / "a").mkdir(parents=True)
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (recipe.data / "a/file").symlink_to(kept)
    (recipe.data / "a/folder").symlink_to(tmp_path)

    assert do(recipe, "1.delete = a") == ("done", "")
    assert kept.read_text() == "kept"
    assert not (recipe.data / "a").exists()


def test_a_root_may_be_reached_through_a_link(tmp_path, root):
    Path(tmp_path / "alias").symlink_to(root)
    found = installers.load({"roots": [str(tmp_path / "alias")]}, print, [])
    recipe = Recipe(tmp_path, installers=found)
    recipe.write("files/a", "a")
    try:
        assert do(recipe, f"1.copy = files/a -> {tmp_path}/alias/a") == ("done", "")
        assert do(recipe, f"1.copy = files/a -> {root}/b")[0] == "failed"
    finally:
        recipe.runner.close()
    assert tree(root) == ["a"]
