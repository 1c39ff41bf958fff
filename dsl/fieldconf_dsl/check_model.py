"""Checks the blocks of one file for themselves: names, properties, values (codes `PM_`).

A file that uses a word of 2014 is read as one of 2014: it gets a warning for each such word, and
its types may have blanks in their names.
"""

from __future__ import annotations

import re

from .errors import MAX_PROBLEMS, Problem, meant, quoted
from .names import (
    FLEX_ID,
    ID,
    OLD_INSTALLERS,
    OLD_PROPERTIES,
    PROPERTIES,
    REPEATABLE,
)
from .syntax import (
    FACET,
    INSTANCE,
    Blank,
    Comment,
    Holder,
    ImportFile,
    Property,
    SourceFile,
    Unknown,
)
from .values import ImportItem, read_exports, read_imports, split_names

_COUNT = re.compile(r"[+]?[0-9]{1,20}", re.ASCII)
_MAX_COUNT = 2**31 - 1


def check_model(file: SourceFile) -> list[Problem]:
    """Return what is wrong with the blocks of `file`, in the order of the lines."""
    checker = _Checker(file)
    for block in file.blocks:
        if isinstance(block, Holder):
            checker.holder(block)
        else:
            checker.other(block)
    return sorted(checker.problems, key=lambda found: found.line)


def is_old(file: SourceFile) -> bool:
    """Tell whether `file` uses a word of the 2014 dialect."""
    return any(_old_words(holder) for holder in file.holders())


def _old_words(holder: Holder) -> bool:
    if holder.old:
        return True
    for found in holder.properties():
        if found.name in OLD_PROPERTIES[holder.kind]:
            return True
        if found.name == "installer" and found.value in OLD_INSTALLERS:
            return True
    return any(_old_words(inner) for inner in holder.instances())


class _Checker:
    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.old = is_old(file)
        self.problems: list[Problem] = []

    def _report(self, code: str, line: int, column: int, name: str, what: str = "") -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            return
        width = max(1, len(name))
        self.problems.append(self.file.problem(code, line, column, width, what or quoted(name)))

    def other(self, block: object) -> None:
        """Check what is no holder; most can only be wrong when a program made it."""
        if isinstance(block, ImportFile):
            if not block.path:
                self._report("PM_EMPTY_IMPORT_LOCATION", block.line, block.column, "")
        elif isinstance(block, Property):
            self.property(block)
        elif isinstance(block, Comment):
            if not all(line.strip().startswith("#") for line in block.text.split("\n")):
                self._report("PM_MALFORMED_COMMENT", block.line, 1, "")
        elif isinstance(block, Unknown):
            self._report("PM_INVALID_BLOCK_TYPE", block.line, 1, block.text)
        elif not isinstance(block, Blank):
            self._report("PM_INVALID_BLOCK_TYPE", 0, 0, "")

    def holder(self, holder: Holder) -> None:
        self._old_header(holder)
        self._type_name(holder)
        seen: set[str] = set()
        for block in holder.blocks:
            if isinstance(block, Property):
                self._held(holder, block, seen)
            elif isinstance(block, Holder):
                self.holder(block)
            elif holder.kind != INSTANCE or isinstance(block, (Blank, Comment)):
                self.other(block)
            else:
                what = type(block).__name__.lower()
                self._report("PM_INVALID_INSTANCE_ELEMENT", block.line, 1, "", what)
        if holder.kind == INSTANCE:
            self._instance_name(holder)

    def _type_name(self, holder: Holder) -> None:
        name = holder.name
        if not name:
            code = "PM_EMPTY_FACET_NAME" if holder.kind == FACET else "PM_EMPTY_COMPONENT_NAME"
            self._report(code, holder.line, holder.column, name)
        elif self._name("PM_INVALID_NAME", name, holder.line, holder.column) and "." in name:
            self._report("PM_DOT_IS_NOT_ALLOWED", holder.line, holder.column, name)

    def _name(self, code: str, name: str, line: int, column: int) -> bool:
        """Check the name of a type; blanks are forgiven in files of 2014, with a warning."""
        if ID.fullmatch(name):
            return True
        if self.old and FLEX_ID.fullmatch(name):
            write = quoted(name.replace(" ", "_"))
            self._warn(line, column, name, f"write {write} instead of {quoted(name)}")
            return True
        self._report(code, line, column, name)
        return False

    def _warn(self, line: int, column: int, name: str, what: str) -> None:
        self._report("FC_OLD_DIALECT", line, column, name, what)

    def _old_header(self, holder: Holder) -> None:
        if holder.old:
            line = self.file.place(holder.line).text
            column = len(line) - len(line.lstrip()) + 1
            what = "write 'instance of' instead of 'instanceof'"
            self._warn(holder.line, column, "instanceof", what)

    def _instance_name(self, holder: Holder) -> None:
        names = list(holder.properties("name"))
        if not names:
            what = quoted(holder.name)
            self._report("PM_MISSING_INSTANCE_NAME", holder.line, holder.column, holder.name, what)
        elif not FLEX_ID.fullmatch(names[0].value):
            name = names[0]
            self._report("PM_INVALID_INSTANCE_NAME", name.line, name.value_column, name.value)

    def _held(self, holder: Holder, found: Property, seen: set[str]) -> None:
        """Check one property of `holder`; a duplicate is told before its value."""
        if found.name in seen and found.name.lower() not in REPEATABLE:
            self._report("PM_DUPLICATE_PROPERTY", found.line, found.column, found.name)
        seen.add(found.name)
        if holder.kind in PROPERTIES.get(found.name, ()):
            self.property(found)
        elif found.name in OLD_PROPERTIES[holder.kind]:
            self._old_property(found)
        elif holder.kind != INSTANCE:
            here = [name for name, kinds in PROPERTIES.items() if holder.kind in kinds]
            what = meant(found.name, here)
            self._report("PM_PROPERTY_NOT_APPLIABLE", found.line, found.column, found.name, what)

    def _old_property(self, found: Property) -> None:
        if found.name == "channel":
            what = "write 'channels' instead of 'channel'"
        elif found.name == "alias":
            what = "remove 'alias'; a comment above the component describes it"
        else:
            what = "remove 'icon'; icons are files in descriptor/"
        self._warn(found.line, found.column, found.name, what)

    def property(self, found: Property) -> None:
        """Check the value of a property by itself."""
        if not found.value:
            self._report("PM_EMPTY_PROPERTY_VALUE", found.line, found.column, found.name)
        elif found.name not in PROPERTIES:
            self._report("PM_UNKNOWN_PROPERTY_NAME", found.line, found.column, found.name)
        else:
            check = _VALUE_CHECKS.get(found.name)
            if check is not None:
                check(self, found)

    def installer(self, found: Property) -> None:
        if not FLEX_ID.fullmatch(found.value):
            self._report("PM_INVALID_INSTALLER_NAME", found.line, found.value_column, found.value)
        elif found.value in OLD_INSTALLERS:
            today = OLD_INSTALLERS[found.value]
            what = f"write {today!r} instead of {found.value!r}"
            self._warn(found.line, found.value_column, found.value, what)

    def children(self, found: Property) -> None:
        for item in split_names(found.value):
            column = found.value_column + item.offset
            self._name("PM_INVALID_CHILD_NAME", item.text, found.line, column)

    def references(self, found: Property) -> None:
        for item in split_names(found.value):
            column = found.value_column + item.offset
            if item.text:
                self._name("PM_INVALID_NAME", item.text, found.line, column)
            else:
                what = quoted(found.name)
                self._report("PM_EMPTY_REFERENCED_NAME", found.line, column, "", what)

    def imports(self, found: Property) -> None:
        for item in read_imports(found.value):
            column = found.value_column + item.offset
            if not item.name:
                what = quoted(found.name)
                self._report("PM_EMPTY_VARIABLE_NAME", found.line, column, "", what)
            elif not self._is_import_name(item, found.line, column):
                self._report("PM_INVALID_IMPORTED_VAR_NAME", found.line, column, item.name)
            elif "." not in item.name or item.name.index(".") == len(item.name) - 1:
                self._report("PM_INCOMPLETE_IMPORTED_VAR_NAME", found.line, column, item.name)

    def _is_import_name(self, item: ImportItem, line: int, column: int) -> bool:
        name = item.name[:-2] if item.name.endswith(".*") else item.name
        if ID.fullmatch(name):
            return True
        prefix, dot, variable = name.partition(".")
        if not (self.old and FLEX_ID.fullmatch(prefix) and (not dot or ID.fullmatch(variable))):
            return False
        return self._name("PM_INVALID_IMPORTED_VAR_NAME", prefix, line, column)

    def exports(self, found: Property) -> None:
        exports = read_exports(found.value)
        for code, offset, name in exports.errors:
            what = quoted(name or found.name)
            self._report(code, found.line, found.value_column + offset, "", what)
        # Declared twice in one property, a name is wrong once.
        for item in {item.name: item for item in exports.items}.values():
            column = found.value_column + item.offset
            if not item.name:
                what = quoted(found.name)
                self._report("PM_EMPTY_VARIABLE_NAME", found.line, column, "", what)
            elif not ID.fullmatch(item.name):
                self._report("PM_INVALID_EXPORTED_VAR_NAME", found.line, column, item.name)
                if item.name.lower().startswith("external "):
                    code = "PM_EXTERNAL_IS_KEYWORD_FOR_IMPORTS"
                    self._report(code, found.line, column, item.name)

    def count(self, found: Property) -> None:
        place = (found.line, found.value_column, found.value)
        number = int(found.value) if _COUNT.fullmatch(found.value) else 0
        if not 1 <= number <= _MAX_COUNT:
            self._report("PM_INVALID_INSTANCE_COUNT", *place)
        elif number == 1:
            self._report("PM_USELESS_INSTANCE_COUNT", *place)


_VALUE_CHECKS = {
    "installer": _Checker.installer,
    "children": _Checker.children,
    "extends": _Checker.references,
    "facets": _Checker.references,
    "imports": _Checker.imports,
    "exports": _Checker.exports,
    "count": _Checker.count,
}


def check_property(name: str, value: str) -> list[Problem]:
    """Return what is wrong with one property taken alone."""
    line = f"{name}: {value};"
    checker = _Checker(SourceFile("", [line]))
    checker.property(Property(1, 1, name, value, len(name) + 3))
    return checker.problems
