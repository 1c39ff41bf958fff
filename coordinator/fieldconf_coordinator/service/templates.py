"""Templates that were deployed: copied into the data folder, so that a restart finds them again.

A copy lies in a folder named after its content (`ref`) and is never changed. Recipes are packed
from the copy, so what is checked, kept and sent is one and the same.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fieldconf_dsl.errors import Problem, has_severe
from fieldconf_dsl.files import Tree, open_folder, open_zip
from fieldconf_dsl.loader import load_template
from fieldconf_dsl.model import Template

from . import advice
from .recipes import RecipeError, RecipeStore, pack

_NEW = ".new"


class TemplateError(Exception):
    """A template is refused whole; `problems` are all that is wrong with it, warnings included."""

    def __init__(self, message: str, problems: Collection[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


@dataclass(frozen=True)
class Kept:
    """A template ready to be deployed.

    Attributes:
        template: loaded from the copy.
        ref: names the copy.
        digests: component → digest of its recipe.
        warnings: what is odd about it.
    """

    template: Template
    ref: str
    digests: dict[str, bytes]
    warnings: list[Problem]


class Templates:
    """The copies below one folder."""

    def __init__(self, folder: Path, recipes: RecipeStore) -> None:
        self._folder = folder
        self._recipes = recipes
        # Two may bring the same content at the same time.
        self._keeping = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*" + _NEW):
            shutil.rmtree(left)

    def keep(self, path: Path) -> Kept:
        """Copy, check and pack the template at `path`, a folder or a ZIP.

        Raises:
            TemplateError: it is refused, or cannot be read; nothing is kept.
            OSError: the copy cannot be written; nothing is kept.
        """
        if not path.exists():
            raise TemplateError(f"there is no template at {path}")
        tree = open_folder(path) if path.is_dir() else open_zip(path)
        if tree.problems:
            raise TemplateError(f"cannot deploy {path}: the template is refused", tree.problems)
        contents = _contents(tree, path)
        with self._keeping:
            return self._keep(path, tree, contents)

    def folder(self, ref: str) -> Path | None:
        """Return where the copy of that name lies, None where there is none."""
        found = self._folder / ref
        return found if ref.isalnum() and found.is_dir() else None

    def report(self, ref: str) -> list[Problem]:
        """Return what is odd about a copy."""
        try:
            loaded = load_template(self._folder / ref)
            return [
                *loaded.problems,
                *(advice.of_deployed(loaded.template) if loaded.template else ()),
            ]
        except OSError as error:
            raise TemplateError(f"cannot read the kept template {ref}: {error}") from error

    def drop(self, ref: str) -> None:
        """Delete a copy that nobody uses any more."""
        with self._keeping:
            shutil.rmtree(self._folder / ref, ignore_errors=True)

    def _keep(self, path: Path, tree: Tree, contents: dict[str, bytes]) -> Kept:
        ref = _ref(tree, contents)
        is_new = not (self._folder / ref).exists()
        if is_new:
            self._copy(ref, tree, contents)
        try:
            return self._checked(path, ref)
        except (TemplateError, OSError):
            if is_new:
                shutil.rmtree(self._folder / ref, ignore_errors=True)
            raise

    def load(self, ref: str) -> Template:
        """Return the template of a copy.

        Raises:
            TemplateError: the copy is gone or damaged.
        """
        try:
            loaded = load_template(self._folder / ref)
        except OSError as error:
            raise TemplateError(f"cannot read the kept template {ref}: {error}") from error
        if loaded.template is None:
            message = f"the kept template {self._folder / ref} is damaged"
            raise TemplateError(message, loaded.problems)
        return loaded.template

    def collect(self, keep: Collection[str]) -> None:
        """Delete the copies that are not in `keep`."""
        for copy in self._folder.iterdir():
            if copy.name not in keep:
                shutil.rmtree(copy, ignore_errors=True)

    def _checked(self, path: Path, ref: str) -> Kept:
        loaded = load_template(self._folder / ref)
        if loaded.template is None or has_severe(loaded.problems):
            raise TemplateError(f"cannot deploy {path}: it has errors", loaded.problems)
        digests = {}
        for component, files in loaded.template.recipes.items():
            recipe = [(name, file.mode, file.read()) for name, file in files.items()]
            installer = loaded.template.graph.components[component].installer.lower()
            try:
                packed = pack(component, installer, recipe)
            except RecipeError as error:
                raise TemplateError(f"cannot deploy {path}: {error}") from error
            digests[component] = self._recipes.add(packed)
        warnings = [*loaded.problems, *advice.of_deployed(loaded.template)]
        return Kept(loaded.template, ref, digests, warnings)

    def _copy(self, ref: str, tree: Tree, contents: dict[str, bytes]) -> None:
        new = self._folder / (ref + _NEW)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            for folder in sorted(tree.folders):
                (new / folder).mkdir(parents=True, exist_ok=True)
            for name, content in contents.items():
                file = new / name
                file.write_bytes(content)
                file.chmod(tree.files[name].mode)
            os.replace(new, self._folder / ref)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise


def _contents(tree: Tree, path: Path) -> dict[str, bytes]:
    try:
        return {name: tree.files[name].read() for name in sorted(tree.files)}
    except OSError as error:
        raise TemplateError(f"cannot read {path}: {error}") from error


def _ref(tree: Tree, contents: dict[str, bytes]) -> str:
    found = hashlib.sha256(repr(sorted(tree.folders)).encode())
    for name, content in contents.items():
        found.update(f"{name}\0{tree.files[name].mode}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()[:32]
