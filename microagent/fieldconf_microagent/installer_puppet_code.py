"""What a Puppet class is told of a step, as Puppet code (CPython only; no I/O).

    class { 'roboconf_web::start':
      runningState => 'running',
      port => '8080',
      db => {'/vm2/db' => {'ip' => '10.0.0.7'}},
    }

These are Roboconf's parameters, with values that arrive as they are. A value of white space alone
is ``undef``, so that the class's own default holds; an imported prefix without instances, too.
"""

from typing import Any

from .variables import clean, told_first

Request = dict[str, Any]
Values = dict[str, str]
Imports = list[Any]

#: What `runningState` says in a step; of the others nothing is known.
RUNNING_STATE = {"deploy": "stopped", "start": "running", "stop": "stopped", "upgrade": "running"}

#: parameter, help: all that a class is told. The reference is written from it.
PARAMETERS = [
    (
        "$runningState",
        "`'running'` for start and upgrade, `'stopped'` for deploy and stop, else undef.",
    ),
    ("$<name>", "Each exported variable of the instance, its name in lower case."),
    (
        "$<prefix>",
        "For each imported prefix, in lower case: a hash of the exporting instances by path, each "
        "a hash of its variables by their names in lower case; undef when there is none.",
    ),
    (
        "$importDiff",
        "update only: `added` and `removed` (hashes as above, or undef; a changed value counts as "
        "added) of one prefix, `component` (that prefix), and `changes`: for each prefix, in lower "
        "case, that something changed of, `added`, `removed` and `changed`.",
    ),
    (
        "$facts['fieldconf_<name>']",
        "What scripts find in `FIELDCONF_<NAME>`, but for `FIELDCONF_CHANGED`: "
        "`$facts['fieldconf_data_dir']`.",
    ),
]

#: No parameter of a class can have one of these names: Puppet keeps them for itself.
KEPT = frozenset(
    "name title alias audit before loglevel noop notify require schedule stage subscribe tag "
    "trusted facts server_facts module_name caller_module_name".split()
)


def code(class_name: str, request: Request) -> str:
    """Return the code that declares the class with the parameters of the step."""
    given = parameters(request)
    lines = [f"  {name} => {value},\n" for name, value in given.items()]
    return f"class {{ {quoted(class_name)}:\n{''.join(lines)}}}\n"


def parameters(request: Request) -> dict[str, str]:
    """Return the parameters of a step: code by name."""
    state = RUNNING_STATE.get(request["step"])
    found = {"runningState": quoted(state) if state else "undef"}
    for name in sorted(request["exports"]):
        found[parameter(name)] = _value(request["exports"][name])
    for prefix in sorted(request["imports"]):
        found[parameter(prefix)] = _imports(request["imports"][prefix])
    if request["step"] == "update":
        found["importDiff"] = _difference(request)
    return found


def parameter(name: str) -> str:
    """Return the name of the parameter that tells of a variable or an imported prefix."""
    lower = clean(name).lower()
    return lower + "_" if lower in KEPT else lower


def quoted(text: str) -> str:
    """Return a text as Puppet code. Between single quotes all but these two mean themselves."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _value(text: "str | None") -> str:
    return quoted(text) if text and not text.isspace() else "undef"


def _hash(pairs: "list[tuple[str, str]]") -> str:
    return "{" + ", ".join(f"{quoted(key)} => {value}" for key, value in pairs) + "}"


def _imports(imports: "Imports | None") -> str:
    """Return a hash of path → variables, or undef when it would be empty."""
    if not imports:
        return "undef"
    return _hash([(path, _variables(values)) for path, values in imports])


def _variables(values: Values) -> str:
    return _hash([(name.lower(), _value(values[name])) for name in sorted(values)])


def _difference(request: Request) -> str:
    """Return `importDiff`: Roboconf's three keys for one prefix, and `changes` for all of them."""
    told = told_first(request)
    if told is None:
        return "undef"
    changed: dict[str, dict[str, Imports]] = request["changed"]
    prefix = told[1]
    kinds = ("added", "removed", "changed")
    known = {kind: changed.get(kind) or {} for kind in kinds}
    there = [*known["added"].get(prefix, []), *known["changed"].get(prefix, [])]
    prefixes = sorted({name for kind in kinds for name in known[kind]})
    all_changes = [
        (one.lower(), _hash([(kind, _imports(known[kind].get(one))) for kind in kinds]))
        for one in prefixes
    ]
    return _hash(
        [
            ("added", _imports(there)),
            ("removed", _imports(known["removed"].get(prefix))),
            ("component", quoted(prefix)),
            ("changes", _hash(all_changes)),
        ]
    )
