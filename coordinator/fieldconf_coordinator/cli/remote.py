"""A coordinator as its clients see it: what can be asked, as calls; REST behind it.

`Client` carries the requests. Errors are `RequestError`, from wherever they come.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fieldconf_dsl.names import plain_name

from ..errors import RequestError
from .client import Client, Place, part, path_of
from .packing import packed

Row = dict[str, Any]

# Of a coordinator's summary of an application: not for `status`.
_LEFT_OUT = ("revision", "description")


#: Where a node finds its broker: one URL, or a list of up to three.
Broker = str | list[str]


class Remote:
    """One coordinator."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    def at(cls, place: Place) -> "Remote":
        """Return the coordinator at a place, which need not be there."""
        return cls(Client(place))

    # -- templates and applications

    def upload(self, path: str | Path) -> Row:
        """Check and keep a template, a folder or a ZIP; return its description."""
        path = Path(path)
        try:
            with packed(path) as (file, size):
                found: Row = self.client.upload("/templates", file, size, "application/zip")
        except RequestError as error:
            if error.code == "bad-template" and not error.message.startswith(("cannot", "there")):
                error.message = f"cannot deploy {path}: {error.message}"
            raise
        return found

    def deploy(
        self,
        path: str | Path,
        name: str | None = None,
        target: str | None = None,
        simulate: bool = False,
    ) -> Row:
        """Make an application of a template, or change the one of that name."""
        template = self.upload(path)
        name = plain_name(name or str(template["name"]))
        body: Row = {"template": template["id"]}
        if target is not None:
            body["target"] = target
        if simulate:
            body["simulate"] = True
        if self._is_there(name):
            answer = self.client.put(f"/applications/{part(name)}/template", body)
        else:
            answer = self.client.create("/applications", {**body, "name": name})
        return {**answer, "name": name, "warnings": template["warnings"]}

    def _is_there(self, name: str) -> bool:
        try:
            return bool(self.client.get(f"/applications/{part(name)}")["name"] == name)
        except RequestError as error:
            if error.code not in ("unknown-application", "not-found"):
                raise
        return False

    def plan(
        self,
        path: str | Path,
        name: str | None = None,
        target: str | None = None,
        simulate: bool = False,
    ) -> Row:
        """Tell what `deploy` would change; refused where that would be refused."""
        template = self.upload(path)
        query = {
            "application": name and plain_name(name),
            "target": target,
            "simulate": "true" if simulate else None,
        }
        found: Row = self.client.get(f"/templates/{template['id']}/plan", **query)
        return {
            **found,
            "template": template["name"],
            "version": template["version"],
            "warnings": template["warnings"],
        }

    def delete(self, app: str) -> Row:
        found: Row = self.client.delete(_app(app))
        return found

    # -- what there is

    def names(self) -> list[str]:
        """Return the names of all applications."""
        return [str(app["name"]) for app in self.client.pages("/applications")]

    def paths(self, app: str, text: str = "") -> list[str]:
        """Return the paths of instances that hold a text: some hundred at most."""
        found = self.client.get(_app(app) + "/instances", limit=500, q=text or None)
        return [str(one["path"]) for one in found]

    def status(self, app: str | None = None) -> Row:
        """Return applications with their instances, and nodes; see `Fleet.status`."""
        told: Row = self.client.get("/status")
        if app is None:
            listed = list(self.client.pages("/applications"))
        else:
            listed = [self.client.get(_app(app))]
        applications = [self._with_instances(one, app is not None) for one in listed]
        name = None if app is None else listed[0]["name"]
        nodes = list(self.client.pages("/nodes", application=name))
        return {
            "applications": [one for one in applications if one is not None],
            "nodes": [{n: v for n, v in node.items() if n != "heard"} for node in nodes],
            **{name: told.get(name) for name in ("unknown", "dropped", "fleet", "broker", "disk")},
        }

    def _with_instances(self, about: Row, must_be: bool) -> Row | None:
        """Return an application with its instances; None if it is gone meanwhile."""
        try:
            instances = list(self.client.pages(_app(about["name"]) + "/instances"))
        except RequestError as error:
            if error.code != "unknown-application" or must_be:
                raise
            return None
        kept = {name: value for name, value in about.items() if name not in _LEFT_OUT}
        return {**kept, "instances": instances}

    def instance(self, app: str, path: str) -> Row:
        """Return one instance with all that is known of it."""
        found: Row = self.client.get(_app(app) + "/instances" + path_of(path))
        return found

    def nodes(self, app: str | None = None, tag: str | None = None) -> list[Row]:
        """Return all nodes, or those of an application, or with a tag."""
        if app is not None:
            app = str(self.client.get(_app(app))["name"])
        return list(self.client.pages("/nodes", application=app, tag=tag))

    def node(self, node: str) -> Row:
        """Return one node."""
        found: Row = self.client.get(f"/nodes/{part(node)}")
        return found

    def enrol(
        self, node: str, board: str, tags: Sequence[str], join: bool, broker: Broker | None
    ) -> Row:
        """Make an identity and a key for a machine."""
        body: Row = {"id": node, "board": board, "tags": list(tags), "join": join}
        if broker is not None:
            body["broker"] = broker
        found: Row = self.client.create("/nodes", body)
        return found

    def enrol_anew(self, node: str, broker: Broker | None) -> Row:
        """Give an enrolled machine another key."""
        body: Row = {} if broker is None else {"broker": broker}
        found: Row = self.client.create(f"/nodes/{part(node)}/enrolment", body)
        return found

    def approve(self, node: str) -> Row:
        """Accept a machine that joined with a token."""
        found: Row = self.client.post(f"/nodes/{part(node)}/approval", None)
        return found

    def expel(self, node: str) -> Row:
        """Have an enrolled machine belong to the fleet no more."""
        found: Row = self.client.delete(f"/nodes/{part(node)}")
        return found

    def node_id(self, begun: str) -> str:
        """Return the id of the only node whose id begins like this.

        Raises:
            RequestError: there is none, or more than one.
        """
        ids = [str(one["id"]) for one in self.client.pages("/nodes")]
        found = [one for one in ids if one.startswith(begun)]
        if begun in ids or len(found) == 1:
            return begun if begun in ids else found[0]
        which = f"these begin so: {', '.join(found[:5])}" if found else ""
        text = f"{begun!r} means several nodes" if found else f"there is no node {begun!r}"
        raise RequestError("unknown-node", text, which or "'fieldconf nodes' lists them")

    def tag(self, node: str, more: set[str], fewer: set[str]) -> Row:
        """Give a node tags and take some away, whoever else does so at the same time."""
        found: Row = self.client.edit(
            f"/nodes/{part(node)}", lambda now: {"tags": sorted({*now["tags"], *more} - fewer)}
        )
        return found

    def why(self, app: str, path: str) -> list[Row]:
        """Return why an instance is not where it is wanted, the root cause last."""
        return list(self.client.get(_app(app) + "/why", path=_absolute(path)))

    def logs(self, app: str, path: str | None = None) -> list[Row]:
        """Return what scripts printed lately, oldest first."""
        if path is not None:
            path = _absolute(path)
        return list(self.client.get(_app(app) + "/logs", path=path, limit=1000))

    def events(self, app: str | None = None, path: str | None = None) -> list[Row]:
        """Return the latest 1000 events, oldest first: all, or of an instance and below it."""
        path = None if path is None else _absolute(path)
        return list(self.client.get("/events", application=app, path=path, limit=1000))[::-1]

    def change(self, id: str) -> Row:
        """Return a change with its steps."""
        found: Row = self.client.get(f"/changes/{part(id)}")
        return found

    # -- wishes

    def foresee(self, app: str, action: str, path: str | None, count: int | None = None) -> Row:
        """Tell what an action would do."""
        body: Row = {"action": action}
        if path is not None:
            body["paths"] = [_absolute(path)]
        if count is not None:
            body["count"] = count
        found: Row = self.client.post(_app(app) + "/plan", body)
        return found

    def wish(self, app: str, path: str | None, wish: str, force: bool = False) -> Row:
        """Wish an instance, or all with None, into a state."""
        body: Row = {"wanted": wish, "force": force}
        if path is not None:
            body["paths"] = [_absolute(path)]
        found: Row = self.client.put(_app(app) + "/wanted", body)
        return found

    def scale(self, app: str, path: str, count: int) -> Row:
        """Have so many copies of a root instance."""
        body = {"path": _absolute(path), "count": count}
        found: Row = self.client.create(_app(app) + "/scale", body)
        return found

    def remove(self, app: str, path: str, force: bool = False) -> Row:
        """Undeploy an instance and take it out for good."""
        found: Row = self.client.delete(_app(app) + "/instances" + path_of(path), force=force)
        return found

    def retry(self, app: str, path: str | None = None) -> Row:
        """Try again at once what failed."""
        body = {} if path is None else {"path": _absolute(path)}
        found: Row = self.client.post(_app(app) + "/retry", body)
        return found

    def running(self, app: str | None = None) -> list[Row]:
        """Return the changes that are under way, newest first."""
        found = [one for one in self.client.pages("/changes") if one["outcome"] == "running"]
        return [one for one in found if app in (None, one["application"])]

    def cancel_change(self, id: str) -> Row:
        """Put back what a change wished, and end its steps."""
        found: Row = self.client.post(f"/changes/{part(id)}/cancel", {})
        return found

    def cancel(self, app: str, path: str) -> Row:
        """End the step that an instance runs."""
        found: Row = self.client.post(_app(app) + "/cancel", {"path": _absolute(path)})
        return found

    def preview(self, app: str, path: str, step: str | None = None) -> Row:
        """Have the log tell what a step would change."""
        body = {"path": _absolute(path), **({"step": step} if step else {})}
        found: Row = self.client.post(_app(app) + "/preview", body)
        return found


def _app(name: str) -> str:
    # As it is called when somebody named it with accents.
    return f"/applications/{part(plain_name(name))}"


def _absolute(path: str) -> str:
    return "/" + path.strip("/")
