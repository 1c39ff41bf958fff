"""The templates that were uploaded: their rows, and the copies in the data folder.

A template is named by its content. A newer upload of the same name and version takes the place of
an older one that no application is made from, so that trying things out leaves nothing behind.
"""

import shutil
from pathlib import Path
from typing import Any

from ..errors import FleetError, RequestError
from ..service.service import Service
from ..service.templates import Kept, TemplateError
from .archives import as_zip
from .envelope import Refusal
from .questions import Asked, Page, paged

Row = dict[str, Any]


class Library:
    """All templates that there are."""

    def __init__(self, service: Service) -> None:
        self._service = service
        # Only the service's thread touches it.
        self._rows: dict[str, Row] = {row["id"]: row for row in service.store.rows("templates")}

    def upload(self, archive: Path, by: str) -> tuple[Row, bool]:
        """Check and keep a template; return its description, and whether it is new.

        Raises:
            Refusal: it is refused, with all that is wrong.
        """
        with as_zip(archive) as path:
            try:
                kept = self._service.keep(path)
            except RequestError as error:
                raise _refused(error, path) from error
        row = {
            "id": kept.ref,
            "name": kept.template.name,
            "version": kept.template.version,
            "description": kept.template.description,
            "tags": list(kept.template.tags),
            "uploaded": self._service.wall_ms(),
            "by": by,
            "warnings": [{**p.as_json(), "text": str(p)} for p in kept.warnings],
        }
        shown, is_new, dropped = self._service.call(self._add, {"row": row})
        self._drop(dropped)
        return shown, is_new

    def search(self, name: str | None, limit: int, cursor: str | None) -> Page:
        """Return a page of templates by name, version and id."""
        found: Page = self._service.call(
            self._list, {"name": name, "limit": limit, "cursor": cursor}
        )
        return found

    def describe(self, ref: str) -> Row:
        """Return one.

        Raises:
            RequestError: there is none of that id.
        """
        found: Row = self._service.call(self._describe, {"id": ref})
        return found

    def report(self, ref: str) -> list[Row]:
        """Return what is odd about a template."""
        self.describe(ref)
        try:
            found = self._service.templates.report(ref)
        except TemplateError as error:
            raise Refusal(404, "unknown-template", str(error)) from error
        return [{**problem.as_json(), "text": str(problem)} for problem in found]

    def delete(self, ref: str) -> Row:
        """Forget a template that no application is made from."""
        self._drop(self._service.call(self._delete, {"id": ref}))
        return {"id": ref}

    def kept(self, ref: str) -> Kept:
        """Return a template ready to be deployed.

        Raises:
            Refusal: there is none of that id.
        """
        folder = self._service.templates.folder(ref)
        if folder is None:
            hint = "upload it with POST /api/v1/templates, which tells its id"
            raise Refusal(404, "unknown-template", f"there is no template {ref!r}", hint=hint)
        return self._service.keep(folder)

    def _drop(self, refs: list[str]) -> None:
        for ref in refs:
            self._service.templates.drop(ref)

    # -- in the service's thread

    def _uses(self, service: Service) -> dict[str, list[str]]:
        uses: dict[str, list[str]] = {}
        for name, app in sorted(service.fleet.world.applications.items()):
            uses.setdefault(app.ref, []).append(name)
        return uses

    def _add(self, service: Service, now: int, asked: Asked) -> tuple[Row, bool, list[str]]:
        row, uses = asked["row"], self._uses(service)
        same = ("name", "version")
        old = [
            ref
            for ref, other in self._rows.items()
            if ref != row["id"] and ref not in uses and all(other[n] == row[n] for n in same)
        ]
        is_new = row["id"] not in self._rows
        if is_new:
            service.store_row("templates", row["id"], row)
            self._rows[row["id"]] = row
        for ref in old:
            service.store_row("templates", ref, None)
            del self._rows[ref]
        return self._shown(self._rows[row["id"]], uses), is_new, old

    def _all(self, service: Service) -> dict[str, Row]:
        """Return the uploaded ones, and those that applications are made from otherwise."""
        found = dict(self._rows)
        for app in service.fleet.world.applications.values():
            if app.ref not in found:
                found[app.ref] = {
                    "id": app.ref,
                    "name": app.template_name,
                    "version": app.template_version,
                    "description": "",
                    "tags": [],
                    "uploaded": None,
                    "by": "",
                    "warnings": [],
                }
        return found

    def _list(self, service: Service, now: int, asked: Asked) -> Page:
        uses = self._uses(service)
        rows = {
            f"{row['name']}\0{row['version']}\0{ref}": row
            for ref, row in self._all(service).items()
            if asked["name"] in (None, row["name"])
        }
        cursor = asked["cursor"]
        cursor = None if cursor is None else cursor.replace("\n", "\0")
        page, after = paged(
            sorted(rows), cursor, asked["limit"], lambda key: self._shown(rows[key], uses)
        )
        return page, None if after is None else after.replace("\0", "\n")

    def _describe(self, service: Service, now: int, asked: Asked) -> Row:
        row = self._all(service).get(asked["id"])
        if row is None:
            raise FleetError("unknown-template", f"there is no template {asked['id']!r}")
        return self._shown(row, self._uses(service))

    def _delete(self, service: Service, now: int, asked: Asked) -> list[str]:
        row = self._describe(service, now, asked)
        if row["applications"]:
            used = ", ".join(row["applications"])
            raise FleetError("conflict", f"{row['name']} is used by {used}")
        service.store_row("templates", row["id"], None)
        del self._rows[row["id"]]
        if all(other["name"] != row["name"] for other in self._all(service).values()):
            service.fleet.forget_template(now, row["name"])
        return [row["id"]]

    def _shown(self, row: Row, uses: dict[str, list[str]]) -> Row:
        return {**row, "applications": uses.get(row["id"], [])}


def _refused(error: RequestError, path: Path) -> Refusal:
    """Return a refusal that does not tell where uploads lie."""
    message = error.message.replace(f"cannot deploy {path}: ", "")
    problems = [
        {
            name: value.replace(str(path), "template") if isinstance(value, str) else value
            for name, value in problem.items()
        }
        for problem in error.problems
    ]
    status = 507 if error.code == "disk" else 422
    return Refusal(status, error.code, message, "/", error.hint, problems)


def clear(folder: Path) -> Path:
    """Return the folder of uploads, emptied of what a former process left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
