"""Loads a template from a folder or a ZIP, with everything that is wrong with it.

    descriptor/application.properties or application.toml
    graph/<entry point>.graph and what it imports
    graph/<Component>/...        the component's recipe; components that extend it may use it too
    instances/<entry point>.instances and what it imports; may be missing

A file with severe errors is not built from, and what builds on it is not judged, so that one
mistake brings no tail. What is wrong elsewhere is still told.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import puppet
from .build import BuiltGraph, build_graph
from .build_instances import BuiltInstances, build_instances
from .check_model import check_model
from .descriptor import Descriptor, read_descriptor
from .errors import Place, Problem, has_severe, in_order, problem, quoted
from .files import MAX_SOURCE, Tree, open_folder, open_zip, refuse_special
from .model import Component, Graph, RecipeFile, Template
from .names import plain_name
from .parser import parse
from .syntax import AGGREGATOR, EMPTY, GRAPH, INSTANCES, SourceFile
from .validate import (
    validate_external_exports,
    validate_graph,
    validate_instances,
    warn_of_cycles,
)

Read = Callable[[str], "bytes | None"]


@dataclass
class Loaded:
    """A template, None where something severe was found, and all that was found.

    Attributes:
        manifests: (path, file) of the manifests of Puppet recipes, for `puppet.judge_syntax`.
    """

    template: Template | None
    problems: list[Problem] = field(default_factory=list)
    manifests: list[tuple[str, RecipeFile]] = field(default_factory=list)


def load_template(path: str | Path) -> Loaded:
    """Return the template at `path`, a folder or a ZIP.

    Raises:
        OSError: there is nothing at `path`, or it cannot be read.
    """
    path = Path(path)
    refuse_special(path)
    tree = open_folder(path) if path.is_dir() else open_zip(path)
    if tree.problems:
        shown = str(path)
        return Loaded(None, [replace(found, file=shown) for found in tree.problems])
    return _Loader(tree).run()


# Source files --------------------------------------------------------------------------------


@dataclass
class Gathered:
    """An entry file and all that it imports; `usable` are those without severe problems."""

    usable: list[SourceFile] = field(default_factory=list)
    parsed: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def read_source(content: bytes, name: str) -> SourceFile:
    """Parse and check one file by itself; its problems are in it, parse errors first."""
    if len(content) > MAX_SOURCE:
        what = f"the file has more than {MAX_SOURCE >> 20} MiB; split it and import the parts"
        return SourceFile(name, [], [], [problem("FC_LIMIT_EXCEEDED", Place(name, 1, 1), what)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        what = f"the byte 0x{content[error.start]:02x} is no UTF-8; save it as UTF-8"
        return SourceFile(name, [], [], [problem("P_IO_ERROR", Place(name, line, column), what)])
    file = parse(text, name)
    found = check_model(file)
    if file.problems:
        # Beside the error that made a block unreadable, telling so once more says nothing.
        found = [one for one in found if one.code != "PM_INVALID_BLOCK_TYPE"]
    file.problems += found
    return file


def gather(entry: str, read: Read, kind: str) -> Gathered:
    """Read `entry` and what it imports, each file once.

    Args:
        entry: relative to the folder that imports are relative to.
        read: returns a file's content, None where there is none.
        kind: `GRAPH` or `INSTANCES`.
    """
    result = Gathered()
    waiting = [(posixpath.normpath(entry), "")]
    asked = {waiting[0][0]}
    while waiting:
        path, shown = waiting.pop(0)
        file = _take(path, shown, entry, read, kind, result)
        if file is None:
            continue
        result.usable.append(file)
        for found in file.imports():
            target = posixpath.normpath(found.path.lstrip("/"))
            if target not in asked:
                asked.add(target)
                shown = f"{quoted(target)} (imported at {path}:{found.line})"
                waiting.append((target, shown))
    return result


def _take(
    path: str, shown: str, entry: str, read: Read, kind: str, result: Gathered
) -> SourceFile | None:
    """Read one file and put its problems into `result`; None where it cannot be used.

    A wrong import is told of the entry file, as by Roboconf; `shown` names the culprit.
    """
    try:
        content = read(path)
    except OSError as error:
        what = f"{error.strerror or error}; restore it and try again"
        result.problems.append(problem("P_IO_ERROR", Place(path, 1, 1), what))
        return None
    if content is None:
        what = shown or quoted(path)
        result.problems.append(problem("CO_UNREACHABLE_FILE", Place(entry), what))
        return None
    file = read_source(content, path)
    result.parsed.add(path)
    result.problems += file.problems
    if has_severe(file.problems):
        return None
    if file.kind not in (kind, AGGREGATOR, EMPTY):
        code = "CO_NOT_A_GRAPH" if kind == GRAPH else "CO_NOT_INSTANCES"
        result.problems.append(problem(code, Place(entry), shown or quoted(path)))
        return None
    return file


# Templates -----------------------------------------------------------------------------------


class _Loader:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.problems: list[Problem] = []
        self.parsed: dict[str, set[str]] = {}
        self.is_unsure: set[str] = set()
        self.manifests: dict[str, RecipeFile] = {}

    def run(self) -> Loaded:
        descriptor = self._descriptor()
        built = self._graph(descriptor) if descriptor else None
        graph = built.graph if built else None
        instances = self._instances(descriptor, built) if descriptor else BuiltInstances()
        if graph is not None and built is not None and descriptor is not None:
            self._validate(descriptor, built, graph, instances)
        self._check_extensions()
        self._check_locations()
        template = None
        if graph is not None and descriptor is not None and not has_severe(self.problems):
            template = self._template(descriptor, graph, instances)
        return Loaded(template, in_order(self.problems), sorted(self.manifests.items()))

    def _report(self, code: str, file: str, what: str = "", line: int = 0) -> None:
        self.problems.append(problem(code, Place(file, line, line), what))

    # Descriptor

    def _descriptor(self) -> Descriptor | None:
        if not self.tree.has_folder("descriptor"):
            self._report("PROJ_NO_DESC_DIR", "descriptor")
            self._graph_folder_missing()
            return None
        for name in ("descriptor/application.toml", "descriptor/application.properties"):
            try:
                content = self.tree.read(name)
            except OSError as error:
                self._report("PROJ_READ_DESC_FILE", name, str(error.strerror or error))
                return None
            if content is not None:
                return self._read_descriptor(content, name)
        self._report("PROJ_NO_DESC_FILE", "descriptor")
        self._graph_folder_missing()
        return None

    def _read_descriptor(self, content: bytes, name: str) -> Descriptor | None:
        # Java's properties were Latin-1 once; a file that is no UTF-8 is taken for that.
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        found = read_descriptor(text, name)
        self.problems += found.problems
        unreadable = any(one.code == "PROJ_READ_DESC_FILE" for one in found.problems)
        return None if unreadable else found

    def _graph_folder_missing(self) -> bool:
        if self.tree.has_folder("graph"):
            return False
        self._report("PROJ_NO_GRAPH_DIR", "graph")
        return True

    # Graph and instances

    def _gather(self, folder: str, entry: str, kind: str) -> Gathered:
        gathered = gather(entry, lambda path: self.tree.read(f"{folder}/{path}"), kind)
        for found in gathered.problems:
            self.problems.append(replace(found, file=f"{folder}/{found.file}"))
        for file in gathered.usable:
            file.name = f"{folder}/{file.name}"
        self.parsed[folder] = {f"{folder}/{path}" for path in gathered.parsed}
        if has_severe(gathered.problems):
            self.is_unsure.add(folder)
        return gathered

    def _graph(self, descriptor: Descriptor) -> BuiltGraph | None:
        entry = descriptor["graph-entry-point"]
        if self._graph_folder_missing() or not entry:
            return None
        if f"graph/{entry}" not in self.tree.files:
            what = quoted(f"graph/{entry}")
            place = descriptor.place("graph-entry-point")
            self.problems.append(problem("PROJ_MISSING_GRAPH_EP", place, what))
            return None
        gathered = self._gather("graph", entry, GRAPH)
        if has_severe(gathered.problems):
            return BuiltGraph(None, [], {})
        built = build_graph(gathered.usable)
        self.problems += built.problems
        return built

    def _instances(self, descriptor: Descriptor, built: BuiltGraph | None) -> BuiltInstances:
        nothing = BuiltInstances()
        if not self.tree.has_folder("instances"):
            return nothing
        if built is None:
            self._report("CO_GRAPH_COULD_NOT_BE_BUILT", "instances")
        entry = descriptor["instance-entry-point"]
        if not entry:
            return nothing
        if f"instances/{entry}" not in self.tree.files:
            what = quoted(f"instances/{entry}")
            place = descriptor.place("instance-entry-point")
            self.problems.append(problem("PROJ_MISSING_INSTANCE_EP", place, what))
            return nothing
        gathered = self._gather("instances", entry, INSTANCES)
        if built is None or built.graph is None or has_severe(gathered.problems):
            return nothing
        result = build_instances(gathered.usable, built.graph, f"instances/{entry}")
        self.problems += result.problems
        return result if not has_severe(result.problems) else nothing

    def _validate(
        self, descriptor: Descriptor, built: BuiltGraph, graph: Graph, instances: BuiltInstances
    ) -> None:
        entry = f"graph/{descriptor['graph-entry-point']}"
        found = validate_graph(graph, built.places, entry)
        self.problems += found
        if has_severe(found):
            self.problems += validate_instances(graph, instances.instances, instances.blocks)
            return
        self.problems += warn_of_cycles(graph, built.places)
        self.problems += validate_instances(graph, instances.instances, instances.blocks)
        place = descriptor.place("exports")
        self.problems += validate_external_exports(graph, descriptor.external_exports, place)
        self._check_recipes(graph, built)

    # Recipes

    def _recipe_owner(self, graph: Graph, component: Component) -> str | None:
        """Return the nearest component with a folder: itself, or one that it extends."""
        chain = [name for name in component.types if name in graph.components]
        return next((name for name in chain if self.tree.has_folder(f"graph/{name}")), None)

    def _check_recipes(self, graph: Graph, built: BuiltGraph) -> None:
        for component in graph.components.values():
            place = built.places[(component.name,)]
            owner = self._recipe_owner(graph, component)
            if owner is None and component.installer.lower() == "target":
                continue  # A machine has no steps. In Roboconf its folder held target.properties.
            if owner is None:
                self.problems.append(
                    problem("PROJ_NO_RESOURCE_DIRECTORY", place, quoted(component.name))
                )
            elif owner == component.name and component.installer.lower() == "script":
                paths = [path for path, _ in self.tree.below(f"graph/{owner}")]
                if paths and not self.tree.has_folder(f"graph/{owner}/scripts"):
                    what = quoted(owner)
                    self.problems.append(problem("REC_SCRIPT_NO_SCRIPTS_DIR", place, what))
            elif component.installer.lower() == puppet.INSTALLER:
                self._check_puppet(component, owner, place)

    def _check_puppet(self, component: Component, owner: str, place: Place) -> None:
        recipe = list(self.tree.below(f"graph/{owner}"))
        self.problems += puppet.judge_imports(component, place)
        self.problems += puppet.judge_module(component, recipe, place)
        manifests = puppet.manifests(recipe)
        self.manifests |= {f"graph/{owner}/{path}": file for path, file in manifests}
        for found in puppet.judge_manifests(component, manifests, f"graph/{owner}"):
            # Components that share a recipe share its faults.
            if found not in self.problems:
                self.problems.append(found)

    # Other files

    def _check_extensions(self) -> None:
        wanted = (
            ("commands", ".commands", "PROJ_INVALID_COMMAND_EXT"),
            ("rules.autonomic", ".drl", "PROJ_INVALID_RULE_EXT"),
        )
        for folder, extension, code in wanted:
            for path, _ in self.tree.below(folder):
                if not path.endswith(extension):
                    self._report(code, f"{folder}/{path}", quoted(path))

    def _check_locations(self) -> None:
        for folder, extension in (("graph", ".graph"), ("instances", ".instances")):
            for path in sorted(self.tree.files):
                if not path.endswith(extension):
                    continue
                if not path.startswith(f"{folder}/"):
                    self._report("PROJ_INVALID_FILE_LOCATION", path, f"{folder}/", line=1)
                elif folder in self.parsed and folder not in self.is_unsure:
                    if path not in self.parsed[folder]:
                        self._report("PROJ_UNREACHABLE_FILE", path, line=1)

    # Template

    def _template(
        self, descriptor: Descriptor, graph: Graph, instances: BuiltInstances
    ) -> Template:
        owners = {name: self._recipe_owner(graph, one) for name, one in graph.components.items()}
        components = {
            name: replace(one, recipe_owner=owners[name]) for name, one in graph.components.items()
        }
        recipes = {owner: self._recipe(owner) for owner in owners.values() if owner}
        prefix = descriptor["exports-prefix"]
        return Template(
            name=plain_name(descriptor["name"]),
            version=descriptor["version"],
            graph=Graph(components, graph.facets, graph.roots),
            instances=instances.instances,
            description=descriptor["description"],
            tags=descriptor.tags,
            exports_prefix=prefix,
            external_exports={
                name: f"{prefix}.{alias}" for name, alias in descriptor.external_exports.items()
            },
            settings=descriptor.settings,
            root=self.tree.root,
            recipes={name: recipes[owner] for name, owner in owners.items() if owner},
        )

    def _recipe(self, owner: str) -> dict[str, RecipeFile]:
        return {
            path: RecipeFile(path, file.mode, file.read)
            for path, file in self.tree.below(f"graph/{owner}")
        }
