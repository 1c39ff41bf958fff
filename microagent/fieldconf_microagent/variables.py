"""What a step is told: environment variables of scripts, and the values that templates see.

Both are made from the step's *request*, a dict of plain values; nothing here reads or writes:

* ``path``, ``name``, ``component``, ``installer``, ``digest`` of the instance; ``application``
* ``recipe_dir``: folder of the recipe, shared by all instances that run it, or None
* ``step``: deploy, start, update, stop, undeploy, check or upgrade; ``timeout_ms``
* ``exports``: ``{"port": "10000"}``
* ``ancestors``: ``[["VM", {"ip": "10.0.0.7"}]]``, the nearest one last
* ``imports``: ``{"Data": [["/vm2/data", {"port": "10001"}]]}``, every imported prefix, by path
* ``changed``: for update ``{"added": imports, "removed": imports, "changed": imports}``
* ``simulate``: the step is only to be written down
* ``preview``: what the step would change is only to be shown; ``rendered_dir`` for templates
* ``cause``: for stop: wanted, import-lost, ancestor, upgrade or check

`META` and `PATTERNS` are the whole list of variables; the reference is written from them.
"""

import sys

from .recipe import RENDERED, folder_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Request = dict[str, Any]
    Value = Callable[[Request, str], str | None]


def clean(text: str) -> str:
    """Return the text with `_` for every character that a shell refuses in a variable's name."""
    return "".join(c if _is_word(c) else "_" for c in text)


def told_first(request: "Request") -> "tuple[str, str, str, dict[str, str]] | None":
    """Return (kind, prefix, path, variables) of the one change that Roboconf's names speak of."""
    changed = request.get("changed") or {}
    for kind in ("added", "changed", "removed"):
        imports = changed.get(kind) or {}
        for prefix in sorted(imports):
            for path, values in imports[prefix]:
                return kind, prefix, path, values
    return None


def _is_word(c: str) -> bool:
    return c == "_" or "0" <= c <= "9" or "a" <= c <= "z" or "A" <= c <= "Z"


def _reversed_path(request: "Request") -> str:
    return "/".join(reversed(request["path"].strip("/").split("/")))


def _status(request: "Request") -> "str | None":
    told = told_first(request)
    if told is None:
        return None
    return "DEPLOYED_STOPPED" if told[0] == "removed" else "DEPLOYED_STARTED"


def _told(request: "Request", index: int) -> "str | None":
    told = told_first(request)
    return None if told is None else str(told[index])


def _changed_json(request: "Request") -> "str | None":
    changed = request.get("changed")
    if changed is None:
        return None
    # Python steps get no variables, and start sooner without this.
    import json

    return json.dumps(changed)


def _recipe(request: "Request") -> "str | None":
    folder: str | None = request.get("recipe_dir")
    return folder


def _files(request: "Request") -> "str | None":
    folder = _recipe(request)
    return None if folder is None else folder + "/files"


def _parent_data_dir(request: "Request", data_dir: str) -> "str | None":
    parent = request["path"].rpartition("/")[0]
    return data_dir.rpartition("/")[0] + "/" + folder_name(parent) if parent else None


#: name (each with ROBOCONF_ and with FIELDCONF_ before it), help, value; None: not set.
META: "list[tuple[str, str, Value]]" = [
    ("INSTANCE_NAME", "Name of the instance.", lambda r, d: r["name"]),
    ("INSTANCE_PATH", "Path of the instance, such as /vm1/web.", lambda r, d: r["path"]),
    (
        "CLEAN_INSTANCE_PATH",
        "The path for use in names: vm1_web.",
        lambda r, d: clean(r["path"].strip("/")),
    ),
    (
        "CLEAN_REVERSED_INSTANCE_PATH",
        "The same, the instance first: web_vm1.",
        lambda r, d: clean(_reversed_path(r)),
    ),
    ("COMPONENT_NAME", "Component of the instance.", lambda r, d: r["component"]),
    ("APPLICATION_NAME", "Name of the application.", lambda r, d: r["application"]),
    ("STEP", "The step that runs.", lambda r, d: r["step"]),
    (
        "RECIPE_DIR",
        "Folder of the recipe; several instances may share it: read only.",
        lambda r, d: _recipe(r),
    ),
    ("FILES_DIR", "The folder files/ of the recipe.", lambda r, d: _files(r)),
    (
        "DATA_DIR",
        "Folder of this instance alone; it outlives versions and goes after undeploy.",
        lambda r, d: d,
    ),
    (
        "PARENT_DATA_DIR",
        "The same of the instance above: for what is put into an application server, say.",
        _parent_data_dir,
    ),
    (
        "RENDERED_DIR",
        "Folder with the recipe's *.mustache files, rendered before start and update.",
        lambda r, d: r.get("rendered_dir") or d + "/" + RENDERED,
    ),
    ("PYTHON", "The Python that runs the agent.", lambda r, d: getattr(sys, "executable", None)),
    (
        "STOP_CAUSE",
        "stop only: wanted, import-lost, ancestor, upgrade or check.",
        lambda r, d: r.get("cause"),
    ),
    (
        "CHANGED",
        "update only: all that changed since the last start or update, as JSON: "
        '{"added": {prefix: [[path, {name: value}]]}, "removed": ..., "changed": ...}; '
        "when very long, @ and the path of a file that holds it.",
        lambda r, d: _changed_json(r),
    ),
    (
        "UPDATE_STATUS",
        "update only, for one of the changes: DEPLOYED_STARTED (added, changed) "
        "or DEPLOYED_STOPPED (removed).",
        lambda r, d: _status(r),
    ),
    (
        "IMPORT_CHANGED_INSTANCE_PATH",
        "update only, for the same change: path of the exporting instance.",
        lambda r, d: _told(r, 2),
    ),
    (
        "IMPORT_CHANGED_COMPONENT",
        "update only, for the same change: imported prefix.",
        lambda r, d: _told(r, 1),
    ),
]

#: name with its variable parts, help. A name that a shell refuses is also set with _ for the rest.
PATTERNS: "list[tuple[str, str]]" = [
    ("<name>", "Each exported variable of the instance."),
    ("ANCESTOR_<Component>_<name>", "Exported variables of each instance above, nearest wins."),
    ("<Prefix>_size", "How many instances are imported under this prefix; 0 when there is none."),
    ("<Prefix>_<i>_name", "Path of the exporting instance; i from 0, sorted by path."),
    ("<Prefix>_<i>_<name>", "A variable that it exports."),
    (
        "ROBOCONF_IMPORT_CHANGED_<name>",
        "update only: variables of the one change that ROBOCONF_UPDATE_STATUS speaks of.",
    ),
]


def metadata(request: "Request", data_dir: str) -> "dict[str, str]":
    """Return the variables of `META` under both of their names."""
    found: dict[str, str] = {}
    for name, _, value_of in META:
        value = value_of(request, data_dir)
        if value is not None:
            found["ROBOCONF_" + name] = found["FIELDCONF_" + name] = value
    return found


def environment(request: "Request", data_dir: str) -> "dict[str, str]":
    """Return the variables that a script of this step gets, without those of the system."""
    env: dict[str, str] = {}
    _put_all(env, "", request["exports"])
    for component, exports in request["ancestors"]:
        _put_all(env, "ANCESTOR_" + component + "_", exports)
    for prefix, imports in request["imports"].items():
        _put(env, prefix + "_size", str(len(imports)))
        for i, (path, values) in enumerate(imports):
            _put(env, "%s_%d_name" % (prefix, i), path)
            _put_all(env, "%s_%d_" % (prefix, i), values)
    told = told_first(request)
    if told is not None:
        _put_all(env, "ROBOCONF_IMPORT_CHANGED_", told[3])
        _put_all(env, "FIELDCONF_IMPORT_CHANGED_", told[3])
    env.update(metadata(request, data_dir))
    return env


def context(request: "Request", data_dir: str) -> "dict[str, Any]":
    """Return what a template of this step sees.

    Exports by name, the names of `META`, for every imported prefix a list under its name (and in
    ``imports``), and Roboconf's ``importLists``. An item of a list holds ``path`` and ``name`` of
    the exporting instance, ``clean_path`` (for use in names: vm1_web), ``last`` (is it the last
    one?), and over these its variables.
    """
    seen: dict[str, Any] = dict(request["exports"])
    lists: dict[str, Any] = {}
    for prefix, imports in request["imports"].items():
        lists[prefix] = [_item(pair, pair is imports[-1]) for pair in imports]
    seen.update(lists)
    seen.update(metadata(request, data_dir))
    seen["imports"] = lists
    seen["importLists"] = [
        {"prefix": prefix, "imports": [_vars(pair) for pair in request["imports"][prefix]]}
        for prefix in sorted(request["imports"])
    ]
    return seen


def _put(env: "dict[str, str]", name: str, value: "str | None") -> None:
    if value is not None:
        env[name] = value
        # A shell cannot read a name with "-" or "." in it.
        env[_shell_name(name)] = value


def _put_all(env: "dict[str, str]", before: str, values: "dict[str, str]") -> None:
    for name, value in values.items():
        _put(env, before + name, value)


def _shell_name(name: str) -> str:
    """Return the name with one `_` for every run of other characters (Roboconf's rule for -)."""
    out = ""
    run = False
    for c in name:
        if _is_word(c):
            out += c
        elif not run:
            out += "_"
        run = not _is_word(c)
    return out


def _item(pair: "list[Any]", last: bool) -> "dict[str, Any]":
    path, values = pair
    item: dict[str, Any] = {
        "path": path,
        "name": path.split("/")[-1],
        "clean_path": clean(path.strip("/")),
        "last": last,
    }
    item.update(values)
    return item


def _vars(pair: "list[Any]") -> "dict[str, Any]":
    values = pair[1]
    return {"exportedVars": [{"name": name, "value": values[name]} for name in sorted(values)]}
