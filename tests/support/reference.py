"""Writes the parts of the reference that are made from tables in the code.

``FIELDCONF_WRITE_DOCS=1 pytest tests/test_docs.py`` writes them, and without it the same test tells
when they are out of date.
"""

import inspect
import re

from fieldconf_microagent import (
    installer_ansible,
    installer_puppet_code,
    recipe,
    states,
    variables,
)

_NOTE = "<!-- Made from {} by tests/support/reference.py; see CONTRIBUTING. -->\n"


#: name, help: what a template sees beside the names that scripts get.
CONTEXT = [
    ("<name>", "Each exported variable of the instance."),
    (
        "<Prefix>",
        "For each imported prefix a list, sorted by path. An item holds `path`, `name` and "
        "`clean_path` (the path for use in names) of the exporting instance, `last` (is it the "
        "last one?), and over these its variables.",
    ),
    ("imports", "The same lists by prefix: `{{#imports.Web}}`."),
    (
        "importLists",
        "Roboconf's: a list of `prefix` and `imports`, a list of `exportedVars`, a list of `name` "
        "and `value`.",
    ),
]


def variables_page():
    """Return the page on what recipes are told, installer by installer."""
    names = [(f"`FIELDCONF_{name}`", text) for name, text, _ in variables.META]
    patterns = [(f"`{name}`", text) for name, text in variables.PATTERNS]
    return "".join(
        [
            _NOTE.format("fieldconf_microagent.variables"),
            "# Variables\n\n"
            "What a step is told: [scripts](#scripts), [Python functions](#python), "
            "[command lines and instructions](#command-and-file),\n[Puppet classes](#puppet), "
            "[Ansible playbooks](#ansible), [templates](#templates). `logger` is told nothing.\n\n"
            "## Scripts\n\n"
            "What a step of a script recipe finds in its environment. A name that a shell cannot "
            "read is also set with `_` for\nwhat it refuses: `my-port` as `my_port`.\n\n"
            "### The instance, and what it imports\n\n",
            _table(("variable", "value"), patterns),
            "\nExample: `imports: Data.*;` gives `Data_size`, `Data_0_name`, `Data_0_ip`, "
            "`Data_0_port`, `Data_1_name` and so on.\n\n"
            "### The step\n\n"
            "Each also exists with `ROBOCONF_` before it. Where there is nothing to tell, "
            "a variable is not set.\n\n",
            _table(("variable", "value"), names),
            "\n## Python\n\nThe attributes of the object that functions of `recipe.py` are called "
            "with, on boards too; `log(text)` writes a line\nto the instance's log, "
            "`every(ms, function)` has a function called again and again.\n\n",
            _table(("attribute", "value"), attributes(recipe.Instance)),
            "\n## Command and file\n\nThe installer `command` gives its command lines the "
            "environment of [scripts](#scripts), and what the step's `environment` adds.\n"
            "`${NAME}` in `installer.toml` and in `instructions.properties` stands for any of "
            "these variables.\n",
            "\n## Puppet\n\nThe parameters of the class that is a step. "
            "See [installers](installers.md#puppet).\n\n",
            _table(("parameter", "value"), _code(installer_puppet_code.PARAMETERS)),
            "\n## Ansible\n\nThe variable `fieldconf` of a playbook; "
            "its environment also holds what stands under [the step](#the-step), "
            "but for\n`FIELDCONF_CHANGED`. See [installers](installers.md#ansible).\n\n",
            _table(
                ("key", "value"),
                [(f"`fieldconf.{name}`", text) for name, text, _ in installer_ansible.VARIABLES],
            ),
            "\n## Templates\n\nWhat `*.mustache` files and Roboconf's `roboconf-templates/` see, "
            "beside the names under [the step](#the-step). See\n"
            "[installers](installers.md#templates).\n\n",
            _table(("name", "value"), _code(CONTEXT)),
        ]
    )


def life_cycle_page():
    """Return the page on states and steps, with a diagram."""
    rows, arrows = [], [f"    [*] --> {_id(states.NOT_DEPLOYED)}"]
    for state, after in states.TRANSITIONS.items():
        for event, (target, step) in after.items():
            text = f"`{step}`" if step else "–"
            rows.append((f"`{state}`", f"`{event}`", f"`{target}`", text))
            if target != state:
                arrows.append(f"    {_id(state)} --> {_id(target)}: {event}")
    kinds = [
        (f"`{state}`", "stable" if states.is_stable(state) else "a step is under way")
        for state in states.TRANSITIONS
    ]
    names = [f"    {_id(state)}: {state}" for state in states.TRANSITIONS]
    return "".join(
        [
            _NOTE.format("fieldconf_microagent.states"),
            "# Life cycle of an instance\n\n",
            "Which event leads from which state to which, and the step that runs on the way. "
            "Agents decide by this very table.\n\n```mermaid\nstateDiagram-v2\n",
            "\n".join([*names, *arrows]),
            "\n```\n\n"
            "An event that leads back to the same state is in the table only. Events have three "
            "sources: what is wished (`deploy`,\n`start`, `stop`, `undeploy`, `upgrade`), "
            "the world around (`update`: imports changed; `check`: its time has come; `hold`: "
            "a\nmandatory "
            "import has no provider; `wait`: the parent is not started), and the end of a step "
            "(`done`, `failed`). After a\nfailed step the instance stays where the table leads, "
            "shows its problem, and the step is tried again.\n\n",
            _table(("state", "kind"), kinds),
            "\n",
            _table(("state", "event", "next state", "runs"), rows),
        ]
    )


#: page under docs/reference → what writes it
PAGES = {"variables.md": variables_page, "life-cycle.md": life_cycle_page}


def attributes(kind):
    """Return (name, help) of what the docstring of a class lists."""
    listed = inspect.getdoc(kind).partition("Attributes:\n")[2]
    found = re.findall(r"^    ([\w, ]+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return [
        (", ".join(f"`{name}`" for name in names.split(", ")), _sentence(text))
        for names, text in found
    ]


def _sentence(text):
    text = " ".join(text.split()).replace("``", "`")
    return text[0].upper() + text[1:]


def _code(rows):
    return [(f"`{name}`", text) for name, text in rows]


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _id(state):
    return state.replace("-", "_")
