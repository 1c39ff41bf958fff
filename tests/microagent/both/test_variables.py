"""What a step is told, on both Pythons."""

import json

from fieldconf_microagent import variables


def request(**changes):
    made = {
        "path": "/vm 1/web-a",
        "name": "web-a",
        "component": "Web",
        "installer": "script",
        "digest": None,
        "recipe_dir": "/recipes/1",
        "step": "start",
        "exports": {"port": "10000", "max-idle": "5"},
        "ancestors": [["VM", {"ip": "10.0.0.1"}], ["Box", {"disk-size": "9"}]],
        "imports": {
            "Data": [["/vm2/data", {"port": "1", "ip": "10.0.0.2"}], ["/vm3/data", {"port": "2"}]],
            "Cache": [],
        },
        "changed": None,
        "cause": None,
        "application": "shop",
        "timeout_ms": 1000,
    }
    made.update(changes)
    return made


def update(**changed):
    changes = {"added": {}, "removed": {}, "changed": {}}
    changes.update(changed)
    return variables.environment(request(step="update", changed=changes), "/data")


def test_exports_ancestors_and_imports():
    env = variables.environment(request(), "/data/web")

    expected = {
        "port": "10000",
        "max_idle": "5",
        "ANCESTOR_VM_ip": "10.0.0.1",
        "ANCESTOR_Box_disk_size": "9",
        "Data_size": "2",
        "Data_0_name": "/vm2/data",
        "Data_0_port": "1",
        "Data_0_ip": "10.0.0.2",
        "Data_1_name": "/vm3/data",
        "Data_1_port": "2",
        "Cache_size": "0",
    }
    for name in expected:
        assert env[name] == expected[name], name
    assert "Data_1_ip" not in env


def test_what_is_put_into_the_instance_above_finds_its_folder():
    inner = request(path="/vm 1/web-a/app")

    assert variables.environment(inner, "/data/vm=201+web-a+app")["FIELDCONF_PARENT_DATA_DIR"] == (
        "/data/vm=201+web-a"
    )
    assert "FIELDCONF_PARENT_DATA_DIR" not in variables.environment(request(path="/vm"), "/data/vm")


def test_every_fact_has_both_names():
    env = variables.environment(request(), "/data/web")

    expected = {
        "INSTANCE_NAME": "web-a",
        "INSTANCE_PATH": "/vm 1/web-a",
        "CLEAN_INSTANCE_PATH": "vm_1_web_a",
        "CLEAN_REVERSED_INSTANCE_PATH": "web_a_vm_1",
        "COMPONENT_NAME": "Web",
        "APPLICATION_NAME": "shop",
        "STEP": "start",
        "RECIPE_DIR": "/recipes/1",
        "FILES_DIR": "/recipes/1/files",
        "DATA_DIR": "/data/web",
        "RENDERED_DIR": "/data/web/rendered",
    }
    for name in expected:
        assert env["ROBOCONF_" + name] == expected[name], name
        assert env["FIELDCONF_" + name] == expected[name], name


def test_all_values_are_text():
    for value in variables.environment(request(recipe_dir=None), "/data").values():
        assert isinstance(value, str)


def test_the_cause_is_told_to_stop_only():
    stop = variables.environment(request(step="stop", cause="import-lost"), "/data")
    start = variables.environment(request(), "/data")

    assert stop["ROBOCONF_STOP_CAUSE"] == "import-lost"
    assert "ROBOCONF_STOP_CAUSE" not in start
    assert "FIELDCONF_CHANGED" not in start
    assert "ROBOCONF_UPDATE_STATUS" not in start


def test_update_names_an_added_import():
    env = update(
        added={"Data": [["/vm4/data", {"port": "7"}]]}, removed={"Data": [["/vm5/data", {}]]}
    )

    assert env["ROBOCONF_UPDATE_STATUS"] == "DEPLOYED_STARTED"
    assert env["ROBOCONF_IMPORT_CHANGED_INSTANCE_PATH"] == "/vm4/data"
    assert env["ROBOCONF_IMPORT_CHANGED_COMPONENT"] == "Data"
    assert env["ROBOCONF_IMPORT_CHANGED_port"] == "7"
    assert env["FIELDCONF_IMPORT_CHANGED_port"] == "7"
    assert json.loads(env["FIELDCONF_CHANGED"])["removed"] == {"Data": [["/vm5/data", {}]]}


def test_update_names_a_removed_import():
    env = update(removed={"Data": [["/vm5/data", {"port": "8"}]]})

    assert env["ROBOCONF_UPDATE_STATUS"] == "DEPLOYED_STOPPED"
    assert env["ROBOCONF_IMPORT_CHANGED_port"] == "8"


def test_update_names_a_changed_import():
    env = update(changed={"Data": [["/vm5/data", {"port": "9"}]]})

    assert env["ROBOCONF_UPDATE_STATUS"] == "DEPLOYED_STARTED"
    assert env["ROBOCONF_IMPORT_CHANGED_INSTANCE_PATH"] == "/vm5/data"


def test_the_nearest_of_two_like_ancestors_counts():
    env = variables.environment(
        request(ancestors=[["VM", {"ip": "far"}], ["VM", {"ip": "near"}]]), "/data"
    )

    assert env["ANCESTOR_VM_ip"] == "near"


def test_the_table_has_help_for_every_name():
    names = [row[0] for row in variables.META]

    assert len(names) == len(set(names))
    for row in variables.META + variables.PATTERNS:
        assert row[1].endswith("."), row[0]


def test_templates_see_exports_imports_and_facts():
    seen = variables.context(request(), "/data/web")

    assert seen["port"] == "10000"
    assert seen["FIELDCONF_DATA_DIR"] == "/data/web"
    assert seen["Cache"] == []
    assert seen["imports"]["Data"] == seen["Data"]
    first = {"path": "/vm2/data", "name": "data", "clean_path": "vm2_data", "last": False}
    second = {"path": "/vm3/data", "name": "data", "clean_path": "vm3_data", "last": True}
    first.update({"port": "1", "ip": "10.0.0.2"})
    second.update({"port": "2"})
    assert seen["Data"] == [first, second]
    assert seen["importLists"][1] == {
        "prefix": "Data",
        "imports": [
            {"exportedVars": [{"name": "ip", "value": "10.0.0.2"}, {"name": "port", "value": "1"}]},
            {"exportedVars": [{"name": "port", "value": "2"}]},
        ],
    }


def test_an_exported_variable_may_be_called_name():
    seen = variables.context(request(imports={"DB": [["/vm/db", {"name": "orders"}]]}), "/data")

    assert seen["DB"][0]["name"] == "orders"
    assert seen["DB"][0]["path"] == "/vm/db"
