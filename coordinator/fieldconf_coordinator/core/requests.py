"""What users ask for. What may be refused is looked at before the first thing changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fieldconf_dsl import names
from fieldconf_dsl.errors import meant
from fieldconf_dsl.model import Template
from fieldconf_microagent import states

from ..errors import FleetError
from . import building, copies, foresight, kinds, wishing
from .building import Builder, Spec
from .changes import Changes
from .fitting import Fitting, OffersOf
from .machines import Identity, Machines
from .model import Application, Instance, World
from .naming import unknown_instance
from .orders import Orders
from .outbox import Outbox
from .placing import Placing
from .planning import Plan
from .sizes import Future
from .undoing import Undo
from .wants import Wants

_LONGEST_NAME = 64
# Paths in the text of a change.
_NAMED = 3

_TEXTS = {states.STARTED: "start", states.STOPPED: "stop", states.NOT_DEPLOYED: "undeploy"}


class Requests:
    """Carries out what users ask for; `Fleet` describes the methods."""

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        wants: Wants,
        machines: Machines,
        orders: Orders,
        changes: Changes,
        identity: Identity,
        offers_of: OffersOf,
    ) -> None:
        self._world = world
        self._outbox = outbox
        self._wants = wants
        self._machines = machines
        self._orders = orders
        self._changes = changes
        self._identity = identity
        self.placing = Placing(world, outbox)
        self._fitting = Fitting(world, identity, offers_of)

    # -- finding things

    def application(self, name: str) -> Application:
        app = self._world.applications.get(name) or self._world.by_id.get(name)
        if app is None:
            known = ", ".join(sorted(self._world.applications)) or "none"
            raise FleetError(
                "unknown-application",
                f"there is no application {meant(name, self._world.applications)}",
                f"there are: {known}",
            )
        return app

    def instance(self, app: Application, path: str) -> Instance:
        found = app.instances.get(path if path.startswith("/") else "/" + path)
        if found is None:
            raise unknown_instance(app, path)
        return found

    # -- deploy

    def plan(
        self, template: Template, digests: Mapping[str, bytes], name: str
    ) -> tuple[Application | None, Plan]:
        """Return the application of that name, if there is one, and what would change.

        Raises:
            FleetError: the template cannot be deployed under that name.
        """
        if len(name) > _LONGEST_NAME or not names.APPLICATION.fullmatch(name):
            raise FleetError(
                "bad-name",
                f"{name!r} cannot be the name of an application",
                "begin with a letter; then letters, digits, blanks and . _ - ( ); at most 64",
            )
        app = self._world.applications.get(name)
        if app is not None and app.template_name != template.name:
            raise FleetError(
                "conflict",
                f"{name} is an application of {app.template_name}, not of {template.name}",
                "choose another name with --name",
            )
        for other in self._world.applications.values():
            if other.template_name != template.name and template.exports_prefix:
                if other.prefix == template.exports_prefix:
                    raise FleetError(
                        "conflict",
                        f"{other.name} exports under {other.prefix} already",
                        "the exports prefix must be another one",
                    )
        return app, Plan(app, template, digests)

    def deploy(
        self,
        template: Template,
        ref: str,
        digests: Mapping[str, bytes],
        name: str,
        target: str | None,
        simulate: bool,
    ) -> dict[str, Any]:
        found, plan = self.plan(template, digests, name)
        app = found or self._new(template, ref, name, target, simulate)
        self._keep_to_it(app, target, simulate)
        with _as_if_from(app, target):
            made, kept = self._built(app, template, plan)
        # Nothing is refused from here on.
        app.target = target or app.target
        app.use(template, ref)
        app.kinds, app.digests, app.lost_ms = plan.kinds, dict(digests), plan.lost_ms
        self._world.applications[name] = self._world.by_id[app.id] = app
        self._outbox.store_application(app)
        if found is None:
            self.placing.adopt(app, template)
        for instance, worked in kept:
            self._keep(app, instance, plan, worked)
        for path in plan.remove:
            self._leave(app, app.instances[path])
        building.put(self._world, self._outbox, app, made)
        self._refresh(app, app.scoped())
        self._mark_bound(app)
        text = f"deploy {template.name} {template.version}"
        stays = f"{name} stays changed to version {template.version}: deploy another one to go back"
        undo = Undo() if found is None else Undo(stays=[stays])
        for instance in made if found is None else ():
            undo.before.setdefault((states.NOT_DEPLOYED, False), []).append(instance.path)
        change = self._begin(app, "change: " + text if found else text, None, undo)
        return {**change, "application": app.id}

    def shown_plan(
        self,
        template: Template,
        digests: Mapping[str, bytes],
        name: str,
        target: str | None,
        simulate: bool,
    ) -> dict[str, Any]:
        """Return what `deploy` would do, refused where that would be refused."""
        found, plan = self.plan(template, digests, name)
        app = found or self._new(template, "", name, target, simulate)
        self._keep_to_it(app, target, simulate)
        with _as_if_from(app, target):
            _, kept = self._built(app, template, plan)
        # A component's defaults are no part of what is set on an instance.
        others = {one.path for one, worked in kept if worked != (one.values, one.magic)}
        plan.change += others.difference(plan.change, plan.upgrade)
        return plan.shown(name, found is None)

    def _new(
        self, template: Template, ref: str, name: str, target: str | None, simulate: bool
    ) -> Application:
        app = Application(self._new_app_id(), name, template, ref)
        app.target, app.simulate = target, simulate
        app.created = self._identity.wall()
        return app

    def _built(
        self, app: Application, template: Template, plan: Plan
    ) -> tuple[list[Instance], list[tuple[Instance, kinds.Worked]]]:
        """Return the new instances, and the others with what they will export.

        Raises:
            FleetError: some node could not run what it should.
        """
        with self.placing.as_if_adopted(app, template):
            builder = Builder(
                self._world, self._identity.handler_of, app, template.graph, plan.kinds
            )
            made = builder.build(plan.add())
            kept = self._work_out(app, plan, builder)
            future = [Future(one, one.kind, one.values, one.magic) for one in made]
            future += [Future(one, plan.keep[one.path][0], *worked) for one, worked in kept]
            self._fitting.check_installers(app, future)
            self._fitting.check_sizes(app, future)
        return made, kept

    def _keep_to_it(self, app: Application, target: str | None, simulate: bool) -> None:
        """Refuse to change what the nodes of an application were made with.

        Raises:
            FleetError: some would have to move to another target, or it is to be simulated.
        """
        with _as_if_from(app, target):
            moved = [
                f"{root.path} ({root.node.target})"
                for root in (app.scoped() if target else ())
                if root.node and root.node.target != self._identity.target_of(app, root)
            ]
        if moved:
            raise FleetError(
                "conflict",
                f"{app.name} has nodes of another target than {target}: {_named(moved)}",
                f"to move it, 'fieldconf undeploy --app {app.name}' and 'fieldconf delete "
                f"{app.name}' first, or deploy a second one beside it with --name",
            )
        if simulate and not app.simulate:
            raise FleetError(
                "conflict",
                f"{app.name} is there for real and cannot become a simulation",
                "deploy it under another name",
            )

    def _work_out(
        self, app: Application, plan: Plan, builder: Builder
    ) -> list[tuple[Instance, kinds.Worked]]:
        found = []
        for path, (kind, overrides, data) in plan.keep.items():
            kinds.check_options(kind, data)
            found.append((app.instances[path], builder.work_out(path, kind, overrides)))
        return found

    def _keep(self, app: Application, instance: Instance, plan: Plan, worked: kinds.Worked) -> None:
        kind, overrides, data = plan.keep[instance.path]
        instance.kind = kind
        instance.overrides, instance.data = dict(overrides), dict(data)
        instance.values, instance.magic = worked
        back = instance.leaving and not any(above.leaving for above in instance.ancestors())
        listed = instance.path in plan.listed
        if back or (listed and instance.added) or instance.path in plan.change:
            instance.leaving = instance.leaving and not back
            instance.added = instance.added and not listed
            self._outbox.store_instance(app, instance)

    def _new_app_id(self) -> str:
        while True:
            app_id = self._identity.text(8)
            if app_id not in self._world.by_id:
                return app_id

    # -- what all requests end with

    def _begin(
        self, app: Application, text: str, paths: tuple[str, ...] | None, undo: Undo
    ) -> dict[str, Any]:
        change = self._changes.begin(app, text, paths, undo)
        # Now and not with the next `take`: an older have must not pass for an answer to this.
        self._wants.flush()
        return {"change": change}

    def _refresh(self, app: Application, roots: Iterable[Instance], force: bool = False) -> None:
        """Bring providers, wants and nodes up to what the model says now."""
        roots = list(roots)
        for root in roots:
            if root.node is not None:
                self._wants.providers.refresh(root.node)
        self._machines.assign(app, roots, force)
        for root in roots:
            self._machines.drop_unborn(app, root)

    def _mark_bound(self, app: Application) -> None:
        for other in self._world.applications.values():
            for prefix, bound in other.bindings.items():
                if app.id in bound:
                    self._wants.providers.mark_outside(other, prefix)

    def _leave(self, app: Application, instance: Instance) -> None:
        if not instance.leaving:
            instance.leaving = True
            self._outbox.store_instance(app, instance)

    # -- wishes

    def foresee(
        self, app_name: str, action: str, paths: list[str] | None, count: int
    ) -> dict[str, Any]:
        app = self.application(app_name)
        if action == "scale":
            # The name of all copies need not be that of one.
            root = paths[0] if paths else ""
            intent = foresight.of_scaling(app, root, copies.counted(count))
            return {"application": app.name, **foresight.foresee(self._world, app, intent)}
        chosen = None if paths is None else [self._staying(app, path) for path in paths]
        if action == "remove":
            intent = foresight.of_removal(app, chosen or ())
        else:
            intent = foresight.of_wish(app, chosen, foresight.WISHES[action])
        return {"application": app.name, **foresight.foresee(self._world, app, intent)}

    def set_wish(
        self, app_name: str, paths: list[str] | None, wish: str, force: bool
    ) -> dict[str, Any]:
        app = self.application(app_name)
        if wish not in states.WISHES:
            raise FleetError(
                "bad-wish", f"{wish!r} is no wish", "one of " + ", ".join(states.WISHES)
            )
        undo = Undo()
        if paths is None:
            touched = set(app.scoped())
            self._wish(app, wishing.of_all(app, wish), wish, undo)
        else:
            # All are looked up before the first one changes.
            chosen = [self._staying(app, path) for path in paths]
            paths, touched = [one.path for one in chosen], set()
            for one in chosen:
                tree = app.tree(one.path)
                self._wish(app, wishing.of_one(one, tree, wish), wish, undo)
                touched |= {one.scope, *(below for below in tree if below.is_scoped)}
        self._refresh(app, touched, force)
        text = f"{_TEXTS[wish]} {_named(paths) if paths else app.name}"
        return self._begin(app, text, None if paths is None else tuple(paths), undo)

    def _staying(self, app: Application, path: str) -> Instance:
        found = self.instance(app, path)
        if found.leaving:
            raise FleetError("conflict", f"{found.path} is being removed")
        return found

    def _wish(self, app: Application, changed: list[Instance], wish: str, undo: Undo) -> None:
        for one in changed:
            undo.note(one)
            one.wish = wish
            self._outbox.store_instance(app, one)

    # -- instances at run time

    def add_instance(
        self,
        app_name: str,
        parent: str | None,
        name: str,
        component: str,
        exports: Mapping[str, str],
        data: Mapping[str, str],
    ) -> dict[str, Any]:
        app = self.application(app_name)
        above = None if parent is None else self.instance(app, parent)
        if above is not None and above.leaving:
            raise FleetError("conflict", f"{above.path} is being removed")
        if "/" in name:
            raise FleetError("bad-name", f"{name!r} cannot be a name", "leave out the '/'")
        path = f"{above.path if above else ''}/{name}"
        if component not in app.kinds:
            known = ", ".join(sorted(app.kinds))
            raise FleetError(
                "not-allowed", f"{app.name} has no component {component!r}", f"it has: {known}"
            )
        # A sibling of that name may be leaving: its path is free when it is gone.
        siblings = {p.rpartition("/")[2] for p in app.instances if p == path}
        new = kinds.as_dsl(path, app.kinds[component], exports, data)
        of = above.kind.component if above is not None else None
        kinds.check(app.graph, new, of, frozenset(siblings))
        spec = Spec(path, component, dict(exports), dict(data), states.STARTED, True)
        self._add(app, [spec])
        return {**self._begin(app, f"add {path}", (path,), Undo([path])), "path": path}

    def _add(self, app: Application, specs: list[Spec]) -> None:
        builder = Builder(self._world, self._identity.handler_of, app, app.graph, app.kinds)
        made = builder.build(specs)
        future = [Future(one, one.kind, one.values, one.magic) for one in made]
        self._fitting.check_installers(app, future)
        staying = (one for one in app.instances.values() if not one.leaving)
        future += [Future(one, one.kind, one.values, one.magic) for one in staying]
        self._fitting.check_sizes(app, future)
        building.put(self._world, self._outbox, app, made)
        self._refresh(app, {instance.scope for instance in made})

    def remove(self, app_name: str, path: str, force: bool) -> dict[str, Any]:
        app = self.application(app_name)
        instance = self.instance(app, path)
        undo = Undo()
        self._remove(app, [instance], undo, force)
        return self._begin(app, f"remove {instance.path}", (instance.path,), undo)

    def _remove(
        self, app: Application, instances: list[Instance], undo: Undo, force: bool = False
    ) -> None:
        touched = set()
        for instance in instances:
            touched.add(instance.scope)
            for one in app.tree(instance.path):
                undo.note(one)
                self._leave(app, one)
                if one.is_scoped:
                    touched.add(one)
        self._refresh(app, touched, force)

    def scale(self, app_name: str, root_path: str, count: int) -> dict[str, Any]:
        app = self.application(app_name)
        known = copies.family(app, root_path)
        copies.counted(count)
        base, undo = copies.base_of(root_path), Undo()
        deployed = copies.deployed(known)
        if count >= len(deployed):
            paths = self._scale_up(app, root_path, count - len(deployed), undo)
        else:
            fewer = sorted(deployed, reverse=True)[: len(deployed) - count]
            paths = [deployed[index].path for index in fewer]
            self._remove(app, [deployed[index] for index in fewer], undo)
        text = f"scale {base} to {count}"
        return {**self._begin(app, text, tuple(paths), undo), "paths": paths}

    def _scale_up(self, app: Application, root_path: str, more: int, undo: Undo) -> list[str]:
        """Deploy what is there and is not deployed, then copies; return the paths of the roots."""
        known = copies.family(app, root_path)
        down = [known[n] for n in sorted(known) if known[n].wish == states.NOT_DEPLOYED][:more]
        new = copies.free_paths(app, copies.base_of(root_path), more - len(down))
        model = app.instances.get("/" + root_path.strip("/"))
        if model is None or model.leaving:
            model = known[min(copies.deployed(known) or known)]
        # Added first: this may be refused.
        undo.added = new
        self._add(app, copies.specs(app, model, new))
        for root in down:
            tree = app.tree(root.path)
            self._wish(app, wishing.of_one(root, tree, states.STARTED), states.STARTED, undo)
            self._refresh(app, {root, *(one for one in tree if one.is_scoped)})
        return [root.path for root in down] + new

    # -- the rest

    def delete(self, app_name: str) -> dict[str, Any]:
        app = self.application(app_name)
        left = [root.path for root in app.scoped() if root.node is not None]
        if left:
            raise FleetError(
                "conflict",
                f"{app.name} is still deployed: {', '.join(left[:5])}",
                f"undeploy it first: fieldconf undeploy --app {app.name}",
            )
        for other in self._world.applications.values():
            for prefix, bound in other.bindings.items():
                if app.id in bound:
                    bound.remove(app.id)
                    self._outbox.store_application(other)
                    self._wants.providers.mark_outside(other, prefix)
        for path in app.instances:
            self._outbox.delete("instances", (app.id, path))
        self.placing.forget(app)
        self._outbox.delete("applications", app.id)
        del self._world.applications[app.name], self._world.by_id[app.id]
        self._outbox.event("change", f"{app.name} is deleted", app.name)
        self._wants.flush()
        return {"application": app.id}

    def order(
        self, app_name: str, path: str | None, verb: str, more: Sequence[Any] = ()
    ) -> dict[str, Any]:
        """Send `retry`, `cancel` or `preview` to the node of an instance, or to all nodes."""
        app = self.application(app_name)
        if path is None:
            nodes = [root.node for root in app.scoped() if root.node is not None]
            arguments = []
        else:
            instance = self.instance(app, path)
            if instance.scope.node is None:
                raise FleetError("conflict", f"{instance.path} is not deployed")
            nodes = [instance.scope.node]
            # For the node itself it is about all that is on it.
            arguments = [] if instance.is_scoped and verb == "retry" else [instance.path, *more]
        offline = [node.id for node in nodes if not node.online]
        for node in nodes:
            if verb == "retry":
                self._machines.retry(node)
            if node.online:
                self._orders.send(node, verb, arguments)
        return {"sent": len(nodes) - len(offline), "offline": offline}

    def cancel(self, app_name: str, paths: list[str]) -> dict[str, Any]:
        """Send `cancel` for each of these instances that has a step under way."""
        sent, offline = 0, set[str]()
        app = self.application(app_name)
        for path in paths:
            instance = app.instances.get(path)
            node = instance.scope.node if instance is not None else None
            if (
                instance is None
                or node is None
                or instance.is_scoped
                or not instance.state.endswith("ing")
            ):
                continue
            if node.online:
                self._orders.send(node, "cancel", [path])
                sent += 1
            else:
                offline.add(node.id)
        return {"sent": sent, "offline": sorted(offline)}

    def bind(self, app_name: str, prefix: str, bound_names: list[str]) -> dict[str, Any]:
        app = self.application(app_name)
        bound = [self.application(name) for name in bound_names]
        for other in bound:
            if other.prefix != prefix:
                raise FleetError(
                    "conflict",
                    f"{other.name} does not export under {prefix!r}",
                    f"its exports prefix is {other.prefix!r}" if other.prefix else "it has none",
                )
        undo = Undo()
        undo.bound[prefix] = list(app.bindings.get(prefix, ()))
        self._bind(app, prefix, [other.id for other in bound])
        text = f"bind {prefix} to {', '.join(bound_names) or 'nothing'}"
        return self._begin(app, text, None, undo)

    def _bind(self, app: Application, prefix: str, ids: list[str]) -> None:
        self._wants.providers.mark_bound(app, prefix)
        app.bindings[prefix] = ids
        self._outbox.store_application(app)
        self._wants.providers.mark_bound(app, prefix)
        self._wants.providers.mark_outside(app, prefix)

    # -- cancel

    def cancel_change(self, change_id: str) -> dict[str, Any]:
        """Put back what a change wished, then end its steps: in this order none begins anew."""
        change, left, undo = self._changes.cancel(change_id)
        app = self._world.by_id.get(change.app_id)
        if app is None:
            return {"sent": 0, "offline": [], "change": None, "stays": []}
        stays = list(undo.stays)
        gone = undo.gone(app)
        if gone:
            stays.append(f"{', '.join(gone[:5])} is gone already: add it again")
        back = self._put_back(app, undo, f"cancel: {change.text}", change.paths)
        return {**self.cancel(app.name, left), "change": back, "stays": stays}

    def _put_back(
        self, app: Application, undo: Undo, text: str, paths: tuple[str, ...] | None
    ) -> str | None:
        """Wish what was wished before; return the change that watches it, None: nothing to do."""
        wishes, again = undo.wishes(app), Undo()
        added = [app.instances[path] for path in undo.added if path in app.instances]
        bound = {p: ids for p, ids in undo.bound.items() if ids != app.bindings.get(p, [])}
        if not (wishes or added or bound):
            return None
        touched = set()
        for one, wish, leaving in wishes:
            again.note(one)
            one.wish, one.leaving = wish, leaving
            self._outbox.store_instance(app, one)
            touched.add(one.scope)
        for prefix, ids in bound.items():
            again.bound[prefix] = list(app.bindings.get(prefix, ()))
            self._bind(app, prefix, [app_id for app_id in ids if app_id in self._world.by_id])
        self._refresh(app, touched)
        self._remove(app, added, again)
        return str(self._begin(app, text, paths, again)["change"])


def _named(paths: list[str]) -> str:
    """Return what a change is about, in a few words."""
    more = len(paths) - _NAMED
    return ", ".join(paths[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _as_if_from(app: Application, target: str | None) -> Iterator[None]:
    """Let an application have another target for a while; None: the one that it has."""
    before, app.target = app.target, target or app.target
    try:
        yield
    finally:
        app.target = before
