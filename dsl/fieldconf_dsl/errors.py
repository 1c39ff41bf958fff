"""What can be wrong with a description: one table of codes, and the class of one problem.

The codes and their severities are Roboconf's, so that its users and their tools know them; `FC_`
ones are ours. A code's prefix is its stage: P the grammar, PM one file's blocks, CO files and names
put together, RM the built model, PROJ the folder, REC a component's recipe, FC what Roboconf has no
word for. Nothing is raised: all that is wrong with a template is collected and shown at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from .names import BLANKS

#: No author reads more about one file, and a stranger's file must not fill the memory.
MAX_PROBLEMS = 1000
#: Lines that are longer are not shown with their problems.
MAX_TEXT = 2000

SEVERE = "severe"
WARNING = "warning"

STAGES = ("P", "PM", "CO", "RM", "PROJ", "REC", "FC")


@dataclass(frozen=True)
class Kind:
    """What is said about one code.

    Attributes:
        severity: `SEVERE` (the template is refused) or `WARNING`.
        sentence: what was found and what to do; `{what}` stands for the names involved.
        source: where it comes from: "text", "program" (models built by code) or "never"
            (a code of Roboconf's that nothing raises here).
    """

    severity: str
    sentence: str
    source: str = "text"


def _severe(sentence: str, source: str = "text") -> Kind:
    return Kind(SEVERE, sentence, source)


def _warning(sentence: str, source: str = "text") -> Kind:
    return Kind(WARNING, sentence, source)


_ID = "letters, digits, '_', '-' and '.', beginning with a letter or '_'"
_FLEX = "letters, digits, blanks, '_', '-' and '.', beginning with a letter or '_'"

CODES: dict[str, Kind] = {
    # Parsing
    "P_IO_ERROR": _severe("cannot read the file: {what}"),
    "P_ONE_BLOCK_PER_LINE": _severe(
        "there is text after the ';'; put each property and each import on a line of its own"
    ),
    "P_PROPERTY_ENDS_WITH_SEMI_COLON": _severe("the property {what} does not end; add a ';'"),
    "P_IMPORT_ENDS_WITH_SEMI_COLON": _severe("the import does not end; add a ';'"),
    "P_O_C_BRACKET_EXTRA_CHARACTERS": _severe("there is text after '{{'; move it to the next line"),
    "P_C_C_BRACKET_EXTRA_CHARACTERS": _severe("there is text after '}}'; move it to the next line"),
    "P_O_C_BRACKET_MISSING": _severe("{what} opens no block; end the line with '{{'"),
    "P_C_C_BRACKET_MISSING": _severe("{what} is never closed; add a line with '}}'"),
    "P_UNRECOGNIZED_BLOCK": _severe(
        "expected an import, a component, a facet or an instance; correct or remove this line"
    ),
    "P_INVALID_PROPERTY": _severe(
        "expected a property in {what}; write 'name: value;', or close it above with '}}'"
    ),
    "P_INVALID_PROPERTY_OR_INSTANCE": _severe(
        "expected a property or an instance in {what}; "
        "write 'name: value;' or 'instance of X {{', or close it above with '}}'"
    ),
    "P_INVALID_FILE_TYPE": _severe(
        "components or facets stand beside instances in this file; "
        "move the instances to a file in instances/"
    ),
    "P_EMPTY_FILE": _warning("the file defines nothing; fill it, or remove it and its imports"),
    # Parsing model
    "PM_INVALID_BLOCK_TYPE": _severe("cannot tell what this block is; remove it", "program"),
    "PM_UNKNOWN_PROPERTY_NAME": _warning("no property is called {what}; remove it", "program"),
    "PM_FORBIDDEN_NAME": _severe("the name {what} is reserved; choose another", "never"),
    "PM_EMPTY_PROPERTY_VALUE": _severe("the property {what} has no value; give it one"),
    "PM_EMPTY_IMPORT_LOCATION": _severe("the import names no file; write 'import other.graph;'"),
    "PM_EMPTY_FACET_NAME": _severe("the facet has no name; write 'facet Name {{'"),
    "PM_EMPTY_COMPONENT_NAME": _severe("the block names no component; write its name before '{{'"),
    "PM_EMPTY_REFERENCED_NAME": _severe("a name is missing in {what}; remove the extra comma"),
    "PM_EMPTY_VARIABLE_NAME": _severe("a variable has no name in {what}; remove the extra comma"),
    "PM_INVALID_CHILD_NAME": _severe(f"the child {{what}} is no valid name; use {_ID}"),
    "PM_INVALID_NAME": _severe(f"{{what}} is no valid name; use {_ID}"),
    "PM_INVALID_EXPORT_COMPLEX_VALUE": _severe(
        "a quote is missing or misplaced in the value of {what}; "
        "put the whole value between two quotes"
    ),
    "PM_INVALID_EXPORTED_VAR_NAME": _severe(
        f"the exported variable {{what}} is no valid name; use {_ID}"
    ),
    "PM_EXTERNAL_IS_KEYWORD_FOR_IMPORTS": _severe(
        "{what}: 'external' is a word for imports; remove it here"
    ),
    "PM_INVALID_IMPORTED_VAR_NAME": _severe(
        "cannot import {what}; write 'Component.variable' or 'Component.*'"
    ),
    "PM_INVALID_INSTALLER_NAME": _severe(f"the installer {{what}} is no valid name; use {_FLEX}"),
    "PM_INVALID_INSTANCE_ELEMENT": _severe(
        "an instance holds properties and instances; move {what} out of it", "program"
    ),
    "PM_INVALID_INSTANCE_COUNT": _severe(
        "the count {what} is no whole number above 0; write how many instances are meant"
    ),
    "PM_USELESS_INSTANCE_COUNT": _warning("a count of 1 changes nothing; remove it"),
    "PM_PROPERTY_NOT_APPLIABLE": _severe(
        "the property {what} does not apply here; correct or remove it"
    ),
    "PM_DUPLICATE_PROPERTY": _severe("the property {what} is set twice; keep one of them"),
    "PM_MISSING_INSTANCE_NAME": _severe("the instance of {what} has no name; add 'name: ...;'"),
    "PM_INVALID_INSTANCE_NAME": _severe(f"the instance name {{what}} is not valid; use {_FLEX}"),
    "PM_DOT_IS_NOT_ALLOWED": _severe("the name {what} holds a dot; use '_' or '-' instead"),
    "PM_INCOMPLETE_IMPORTED_VAR_NAME": _severe(
        "the import {what} is incomplete; write 'Component.variable' or 'Component.*'"
    ),
    "PM_MALFORMED_COMMENT": _warning("a comment lacks its '#'; one is added", "program"),
    "PM_MALFORMED_BLANK": _warning("a blank block holds text, which is dropped", "never"),
    # Conversion
    "CO_NOT_A_GRAPH": _severe("{what} is no graph; import files with components and facets only"),
    "CO_NOT_INSTANCES": _severe("{what} holds no instances; import files with instances only"),
    "CO_UNREACHABLE_FILE": _severe("cannot find {what}; correct the import or add the file"),
    "CO_ALREADY_DEFINED_FACET": _severe("the facet {what}; rename or remove one"),
    "CO_ALREADY_DEFINED_COMPONENT": _severe("the component {what}; rename or remove one"),
    "CO_CYCLE_IN_COMPONENTS_INHERITANCE": _severe("{what} extends itself", "never"),
    "CO_ALREADY_DEFINED_INSTANCE": _severe("the instance {what}; rename or remove one"),
    "CO_CONFLICTING_INFERRED_INSTANCE": _severe("'count' makes {what}; rename one of them"),
    "CO_INEXISTING_CHILD": _severe(
        "the child {what} is neither a component nor a facet; declare it or remove it"
    ),
    "CO_INEXISTING_COMPONENT": _severe("there is no component {what}; declare it in the graph"),
    "CO_INEXISTING_FACET": _severe("there is no facet {what}; declare it in the graph"),
    "CO_CONFLICTING_NAME": _severe(
        "{what} is the name of a component and of a facet; rename one of them"
    ),
    "CO_GRAPH_COULD_NOT_BE_BUILT": _severe(
        "there are instances but no graph; add the graph that declares their components"
    ),
    # Runtime model
    "RM_MISSING_APPLICATION_NAME": _severe("the template has no name; add 'name' to it"),
    "RM_INVALID_APPLICATION_NAME": _severe(
        "the template name {what} is not valid; use letters, digits, blanks and '-_.()', "
        "beginning with a letter"
    ),
    "RM_MISSING_APPLICATION_DSL_ID": _warning(
        "the language is not named; add 'dsl-id = roboconf-1.0'"
    ),
    "RM_MISSING_APPLICATION_VERSION": _severe("the template has no version; add 'version'"),
    "RM_INVALID_APPLICATION_VERSION": _severe(
        "the version {what} is not valid; write it like 1.0 or 1.0.2-beta"
    ),
    "RM_MISSING_APPLICATION_GEP": _severe(
        "no graph is named; add 'graph-entry-point' with a file of graph/"
    ),
    "RM_MISSING_APPLICATION_GRAPHS": _severe("the template has no graph; add one", "never"),
    "RM_MISSING_APPLICATION_EXPORT_PREFIX": _severe(
        "'exports' needs a name for other applications to import from; add 'exports-prefix'"
    ),
    "RM_INVALID_APPLICATION_EXPORT_PREFIX": _severe(
        f"the exports prefix {{what}} is not valid; use {_ID}"
    ),
    "RM_DOT_IS_NOT_ALLOWED": _severe("the name {what} holds a dot; use '_' instead", "program"),
    "RM_EMPTY_COMPONENT_NAME": _severe("a component has no name; give it one", "program"),
    "RM_EMPTY_FACET_NAME": _severe("a facet has no name; give it one", "program"),
    "RM_INVALID_COMPONENT_NAME": _severe(
        f"the component name {{what}} is not valid; use {_FLEX}", "program"
    ),
    "RM_INVALID_FACET_NAME": _severe(
        f"the facet name {{what}} is not valid; use {_FLEX}", "program"
    ),
    "RM_EMPTY_COMPONENT_INSTALLER": _severe(
        "the component {what} has no installer; add 'installer: ...;' "
        "or extend a component that has one"
    ),
    "RM_INVALID_COMPONENT_INSTALLER": _severe(
        f"the installer {{what}} is no valid name; use {_FLEX}", "program"
    ),
    "RM_ROOT_INSTALLER_MUST_BE_TARGET": _severe(
        "the component {what} lies in no other; "
        "write 'installer: target;', or name it among the 'children' of another"
    ),
    "RM_COMPONENT_IMPORTS_EXPORTS": _severe(
        "the component imports {what}, which it exports itself; add '(optional)'"
    ),
    "RM_EMPTY_VARIABLE_NAME": _severe("a variable of {what} has no name; give it one", "program"),
    "RM_INVALID_VARIABLE_NAME": _severe(f"the variable {{what}} is no valid name; use {_ID}"),
    "RM_MAGIC_INSTANCE_VARIABLE": _warning(
        "the component exports no {what}; the instance's own recipe sees it, "
        "others do not; correct the name if that is not meant"
    ),
    "RM_MISSING_VARIABLE_VALUE": _severe(
        "the exported variable {what} has no value; give it one here or in the graph"
    ),
    "RM_AMBIGUOUS_OVERRIDING": _warning(
        "the variable {what}, all of which are set; write the full name to set one"
    ),
    "RM_INVALID_EXTERNAL_EXPORT": _severe(
        "no component exports {what}; correct the item of 'exports'"
    ),
    "RM_ALREADY_DEFINED_EXTERNAL_EXPORT": _severe(
        "two items of 'exports' are called {what}; rename one"
    ),
    "RM_INVALID_RANDOM_KIND": _severe("cannot make a random {what}; write 'random[port]'"),
    "RM_NO_VALUE_FOR_RANDOM": _severe(
        "the random variable {what} has a value; remove it, or the word 'random'"
    ),
    "RM_CYCLE_IN_COMPONENTS": _severe(
        "components contain each other: {what}; remove one from the 'children'"
    ),
    "RM_CYCLE_IN_COMPONENTS_INHERITANCE": _severe(
        "components extend each other: {what}; remove one 'extends'"
    ),
    "RM_CYCLE_IN_FACETS_INHERITANCE": _severe(
        "facets extend each other: {what}; remove one 'extends'"
    ),
    "RM_NO_ROOT_COMPONENT": _severe(
        "no component stands for a machine; declare one with 'installer: target;' "
        "that is no child of another"
    ),
    "RM_NOT_A_ROOT_COMPONENT": _severe("{what} is listed as a root but has parents", "program"),
    "RM_UNRESOLVABLE_VARIABLE": _severe(
        "no component exports {what}; correct the import, or export the variable"
    ),
    "RM_UNRESOLVABLE_FACET_VARIABLE": _severe(
        "no component has the facet that exports {what}; add the facet to a component"
    ),
    "RM_EMPTY_INSTANCE_NAME": _severe("an instance has no name; give it one", "program"),
    "RM_INVALID_INSTANCE_NAME": _severe(
        f"the instance name {{what}} is not valid; use {_FLEX}", "program"
    ),
    "RM_EMPTY_INSTANCE_COMPONENT": _severe(
        "the instance {what} is of no known component; name one of the graph", "program"
    ),
    "RM_MISSING_INSTANCE_PARENT": _severe("the instance {what}; move it into one"),
    "RM_INVALID_INSTANCE_PARENT": _severe(
        "the instance {what}; move it, or extend the 'children' in the graph"
    ),
    "RM_UNREACHABLE_COMPONENT": _severe(
        "the component {what} is only a child of a facet that no component has; "
        "add the facet to a component"
    ),
    "RM_ORPHAN_FACET": _warning("no component has the facet {what}; use it or remove it"),
    "RM_ORPHAN_FACET_WITH_CHILDREN": _warning(
        "no component has the facet {what}, so its children have no place; use it or remove it"
    ),
    # Project
    "PROJ_NO_GRAPH_DIR": _severe("there is no folder graph/; add it with the components"),
    "PROJ_NO_DESC_DIR": _severe(
        "there is no folder descriptor/; add it with application.properties or application.toml"
    ),
    "PROJ_NO_DESC_FILE": _severe(
        "descriptor/ holds neither application.properties nor application.toml; add one"
    ),
    "PROJ_MISSING_GRAPH_EP": _severe(
        "cannot find {what}; correct 'graph-entry-point' or add the file"
    ),
    "PROJ_MISSING_INSTANCE_EP": _severe(
        "cannot find {what}; correct 'instance-entry-point' or add the file"
    ),
    "PROJ_READ_DESC_FILE": _severe("cannot read the descriptor: {what}; correct it"),
    "PROJ_INVALID_EXTERNAL_EXPORTS": _severe(
        "cannot read {what} in 'exports'; write 'Component.variable as name', with commas between"
    ),
    "PROJ_APPLICATION_TEMPLATE_NOT_FOUND": _severe(
        "the application's template {what} is not there; add it first", "never"
    ),
    "PROJ_INVALID_COMMAND_EXT": _severe("{what} does not end with .commands; rename or move it"),
    "PROJ_INVALID_RULE_EXT": _severe("{what} does not end with .drl; rename or move it"),
    "PROJ_NO_RESOURCE_DIRECTORY": _warning(
        "the component {what} has no recipe; add the folder, or extend a component with one"
    ),
    "PROJ_UNREACHABLE_FILE": _warning("nothing imports this file; import it or remove it"),
    "PROJ_INVALID_FILE_LOCATION": _warning("this file is not read here; move it to {what}"),
    "PROJ_DELETE_TEMP": _warning("cannot delete temporary files: {what}", "never"),
    "PROJ_EXTRACT_TEMP": _severe("cannot extract temporary files: {what}", "never"),
    "PROJ_EXTRACT_ZIP": _severe("cannot take the ZIP file: {what}; pack the template anew"),
    # Recipes
    "REC_SCRIPT_NO_SCRIPTS_DIR": _severe(
        "the recipe of {what} has no folder scripts/; add it with deploy.sh, start.sh and so on"
    ),
    "REC_PUPPET_HAS_NO_RBCF_MODULE": _severe(
        "the recipe of {what} has no folder roboconf_<name>; add the Puppet module to apply"
    ),
    "REC_PUPPET_HAS_TOO_MANY_RBCF_MODULES": _severe(
        "a recipe has one folder roboconf_<name>, and that of {what}; leave the one to apply"
    ),
    "REC_PUPPET_SYNTAX_ERROR": _severe("Puppet cannot read this manifest: {what}; correct it"),
    "REC_PUPPET_MISSING_PARAM_RUNNING_STATE": _severe(
        "the class {what} has no parameter '$runningState', which every step is told; add it"
    ),
    "REC_PUPPET_MISSING_PARAM_IMPORT_DIFF": _severe(
        "the class {what} has no parameter '$importDiff', which updates are told; add it"
    ),
    "REC_PUPPET_MISSING_PARAM_FROM_IMPORT": _warning(
        "the class {what} for what the component imports; add it, or Puppet will fail"
    ),
    "REC_PUPPET_DISLIKES_WILDCARD_IMPORTS": _warning(
        "{what} imports all variables of a prefix, and a Puppet class wants to know which; "
        "name them"
    ),
    # Our own
    "FC_OLD_DIALECT": _warning("{what} (the file is read as Roboconf wrote in 2014)"),
    "FC_CYCLE_IN_IMPORTS": _warning(
        "none of these can ever start, since each waits for the next: {what}"
    ),
    "FC_LIMIT_EXCEEDED": _severe("a bound is passed: {what}"),
    "FC_UNSAFE_PATH": _severe("{what} leads out of the template; replace the link by the file"),
}


@dataclass(frozen=True)
class Place:
    """Where something stands: `line` and `column` count from 1; 0 means the file as a whole."""

    file: str = ""
    line: int = 0
    column: int = 0
    text: str = ""
    width: int = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, ready to be shown to the author.

    Attributes:
        file: relative to the template; for a lone file as it was given.
        line: from 1; 0 where the file as a whole is meant.
        column: from 1; 0 with line 0.
        text: the source line, empty where there is none.
        width: how many characters the marker spans.
    """

    code: str
    severity: str
    file: str
    line: int
    column: int
    message: str
    text: str = ""
    width: int = 1

    @property
    def is_severe(self) -> bool:
        return self.severity == SEVERE

    def as_json(self) -> dict[str, Any]:
        """Return what `fieldconf check --json` prints of this problem."""
        names = ("code", "severity", "file", "line", "column", "message")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        where = [self.file] if self.file else []
        where += [str(self.line), str(self.column)] if self.line else []
        first = f"{':'.join(where)}: {self.code}: {self.message}".removeprefix(": ")
        if not self.text.strip(BLANKS):
            return _harmless(first)
        text = _harmless(self.text)
        start = self.column - 1
        gap, marked = _room(text[:start]), _room(text[start : start + self.width - 1], "~")
        return f"{_harmless(first)}\n    {text}\n    {gap}{marked}^"


#: What a text could do to a terminal: move its cursor, say things to it, turn the writing around.
_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _harmless(text: str) -> str:
    """Return `text` for a terminal, as long as it was."""
    return _ACTIVE.sub("\N{REPLACEMENT CHARACTER}", text)


def _room(text: str, mark: str = " ") -> str:
    """Return what takes as much room on a screen as `text`; tabs stay tabs."""
    if text.isascii() and "\t" not in text:
        return mark * len(text)
    return "".join("\t" if c == "\t" else mark * _cells(c) for c in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


NOWHERE = Place()


def problem(code: str, place: Place = NOWHERE, what: str = "") -> Problem:
    """Return the problem `code` at `place`; `what` names the things involved."""
    kind = CODES[code]
    message = kind.sentence.format(what=what)
    line, column = place.line, place.column
    text = place.text if len(place.text) <= MAX_TEXT else ""
    width = max(1, min(place.width, len(text) - column + 1))
    return Problem(code, kind.severity, place.file, line, column, message, text, width)


def stage(code: str) -> int:
    """Return the number of the stage that finds `code`: 0 parsing, 1 parsing model, and so on."""
    return STAGES.index(code.partition("_")[0])


def has_severe(problems: Iterable[Problem]) -> bool:
    """Tell whether one of `problems` refuses the template."""
    return any(found.is_severe for found in problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return `problems` in the order of the stages; within a stage as they were found."""
    return sorted(problems, key=lambda found: stage(found.code))


#: So many names are looked through for one that is meant: text from strangers costs no time.
_MOST_NAMES = 100


def meant(name: str, known: Iterable[str]) -> str:
    """Return `name` in quotes, and which of the `known` ones it may be a slip of."""
    others = (other for other in islice(known, _MOST_NAMES) if other != name)
    close = get_close_matches(name[:80], others, 1)
    return quoted(name) + (f" (did you mean {quoted(close[0])}?)" if close else "")


def quoted(name: str) -> str:
    """Return `name` in quotes, cut where it is too long for a message."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")
