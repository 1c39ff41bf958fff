"""The `*.mustache` files of a recipe become files in the data folder, on both Pythons."""

from fieldconf_microagent import compat, rendering


def scratch(files):
    """Make a folder with these files and return its name."""
    folder = "/tmp/fieldconf-test-" + compat.hex(compat.random_bytes(8))
    compat.makedirs(folder)
    for name in files:
        compat.makedirs((folder + "/" + name).rpartition("/")[0])
        with open(folder + "/" + name, "wb") as file:
            file.write(files[name].encode())
    return folder


def request(folder, step="start"):
    return {
        "path": "/vm1/lb",
        "name": "lb",
        "component": "Lb",
        "recipe_dir": folder,
        "step": step,
        "exports": {"port": "80"},
        "ancestors": [],
        "imports": {
            "Web": [["/vm2/web", {"ip": "a", "port": "1"}], ["/vm3/web", {"ip": "b", "port": "2"}]]
        },
        "changed": None,
        "cause": None,
        "application": "shop",
        "timeout_ms": 1000,
    }


def rendered(files, step="start"):
    """Return the rendered files by name."""
    folder = scratch(files)
    data = folder + "-data"
    try:
        rendering.render_recipe(request(folder, step), data)
        found = {}
        for name in files:
            file = data + "/rendered/" + name.replace(".mustache", "")
            if compat.exists(file):
                found[name] = compat.read_file(file).decode()
        return found
    finally:
        compat.remove_tree(folder)
        compat.remove_tree(data)


def test_a_list_is_rendered_with_its_commas():
    text = '[{{#Web}}"{{ip}}:{{port}}"{{^last}}, {{/last}}{{/Web}}] {{port}} {{FIELDCONF_STEP}}'

    assert rendered({"backends.json.mustache": text}) == {
        "backends.json.mustache": '["a:1", "b:2"] 80 start'
    }


def test_folders_are_kept_and_other_files_left_alone():
    assert rendered({"files/conf/a.conf.mustache": "é{{port}}", "files/b.txt": "{{port}}"}) == {
        "files/conf/a.conf.mustache": "é80"
    }


def test_partials_come_from_the_recipe():
    files = {"all.txt.mustache": "{{#Web}}{{> line.txt}}{{/Web}}", "line.txt.mustache": "{{ip}};"}

    assert rendered(files)["all.txt.mustache"] == "a;b;"


def test_templates_are_rendered_before_start_and_update_only():
    files = {"a.mustache": "x"}

    assert rendered(files, "update") == {"a.mustache": "x"}
    for step in ("deploy", "stop", "undeploy", "check", "upgrade"):
        assert rendered(files, step) == {}


def test_an_instance_without_recipe_renders_nothing():
    rendering.render_recipe(request(None), "/nowhere")


def test_a_bad_template_is_named():
    for text in ("{{#Web}}", "{{port"):
        try:
            rendered({"files/a.conf.mustache": text})
        except ValueError as error:
            assert "cannot render files/a.conf.mustache" in str(error)
        else:
            raise AssertionError("accepted")
