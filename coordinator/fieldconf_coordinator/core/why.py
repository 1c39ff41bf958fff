"""Why an instance is not where it is wished: the chain of reasons, down to the root cause."""

from datetime import datetime, timezone
from typing import Any

from fieldconf_microagent import states

from .changes import shown_state
from .model import CREATING, EMPTYING, UNKNOWN, UP, WAITING, Application, Instance, Node, World

Reasons = list[dict[str, Any]]

_PHASES = {
    EMPTYING: "is being emptied before it is destroyed",
    "forgetting": "is asked to wipe itself before it is destroyed",
    "destroying": "is being destroyed",
    "clearing": "is gone; its messages are cleared as soon as the broker can be reached",
}


# state: the step that runs then.
_STEPS = {
    states.DEPLOYING: "deploy",
    states.STARTING: "start",
    states.STOPPING: "stop",
    states.UNDEPLOYING: "undeploy",
}
# Who reads of three that hold something up does not read of more.
_MOST_HELD = 3


class Why:
    """Follows the reasons of one instance."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reasons: Reasons = []
        self._seen: list[str] = []
        self._waits: list[tuple[str, str]] = []  # (path, prefix) on the way

    def reasons(self, app: Application, instance: Instance) -> Reasons:
        """Return the reasons, the root cause last; none if it is where it is wished."""
        node = instance.scope.node
        # What is wished was there, and its machine died: all is as it was said last.
        is_lost = node is not None and node.phase == CREATING and node.root.problem is not None
        is_held_down = instance.wish != instance.effective_wish()
        if is_lost or is_held_down or not instance.is_settled():
            self._follow(app, instance)
        return self._reasons

    def _say(self, instance: Instance, text: str) -> None:
        self._reasons.append({"path": instance.path, "text": text})

    def _follow(self, app: Application, instance: Instance) -> None:
        name = f"{app.id}{instance.path}"
        if name in self._seen:
            self._cycle(instance, name)
            return
        self._seen.append(name)
        node = instance.scope.node
        lowest = _lowest(instance)
        if lowest is not None:
            text = "is being removed" if lowest.leaving else f"is wished {lowest.wish}"
            self._say(lowest, text)
            if node is not None and not instance.is_settled():
                self._going_down(app, instance, node)
        elif node is None:
            problem = instance.scope.problem
            self._say(instance.scope, problem[1] if problem is not None else "has no node yet")
        elif not self._node(app, node):
            self._state(app, instance)

    def _cycle(self, instance: Instance, name: str) -> None:
        paths = [p[p.index("/") :] for p in self._seen[self._seen.index(name) :]]
        ring = " → ".join([*paths, instance.path])
        optional = ""
        for path, prefix in reversed(self._waits):
            if path in paths:
                optional = f"; make the import of {prefix} in {path} optional"
                break
        self._say(instance, f"waits for itself: {ring}{optional}")

    def _going_down(self, app: Application, instance: Instance, node: Node) -> None:
        """Tell what holds up the way down, at an instance or below it."""
        if self._node(app, node) and node.phase != EMPTYING:
            return
        held = [
            one
            for one in app.tree(instance.path)
            if one.scope is instance.scope and not one.is_scoped
            if one.problem is not None or one.state in _STEPS
        ]
        for one in held[:_MOST_HELD]:
            if one.problem is not None:
                self._problem(one)
            else:
                self._say(one, f"is {one.state}; its step '{_STEPS[one.state]}' has to end first")

    # -- the node

    def _node(self, app: Application, node: Node) -> bool:
        """Tell what is wrong with a node; return whether something is."""
        root = node.root
        if node.duplicate:
            marks = " and ".join(node.hardware)
            self._say(root, f"{marks} both say that they are node {node.id}; enrol one anew")
        elif node.phase in _PHASES:
            self._say(root, f"node {node.id} {_PHASES[node.phase]}")
        elif node.phase == WAITING:
            self._waits_for_parent(app, root)
        elif root.problem is not None and node.phase == CREATING:
            self._say(root, root.problem[1])
        elif not node.online:
            self._offline(root, node)
        elif node.refused:
            self._say(root, f"node {node.id} refuses what is wanted: {node.refused}")
        elif node.held != node.version:
            self._say(root, f"node {node.id} has not answered to its new want yet")
        else:
            return False
        return True

    def _waits_for_parent(self, app: Application, root: Instance) -> None:
        parent = root.parent
        if parent is not None:
            self._say(root, f"waits until {parent.path} is started")
            self._follow(app, parent)

    def _offline(self, root: Instance, node: Node) -> None:
        if node.since is not None:
            stamp = datetime.fromtimestamp(node.since / 1000, timezone.utc)
            self._say(root, f"node {node.id} is offline since {stamp:%H:%M} UTC")
        elif node.phase == UP and node.was_heard:
            self._say(root, f"node {node.id} was not heard since the coordinator started")
        else:
            self._say(root, f"node {node.id} is being created and has not said hello yet")

    # -- the instance

    def _state(self, app: Application, instance: Instance) -> None:
        state = shown_state(instance)
        if instance.problem is not None:
            self._problem(instance)
        elif state == states.UNRESOLVED:
            self._unresolved(app, instance)
        elif state == states.WAITING and instance.parent is not None:
            self._say(instance, f"waits until {instance.parent.path} is started")
            self._follow(app, instance.parent)
        elif state == UNKNOWN:
            self._say(instance, "nothing was heard of it since the coordinator started")
        elif instance.parent is not None and instance.parent.state == states.NOT_DEPLOYED:
            self._say(instance, f"waits until {instance.parent.path} is deployed")
            self._follow(app, instance.parent)
        else:
            self._say(instance, f"is {state}, on its way to {instance.effective_wish()}")

    def _problem(self, instance: Instance) -> None:
        code, text, resting = instance.problem or ("", "", False)
        again = "; it is tried again every 5 min" if resting else ""
        self._say(instance, f"{code}: {text}{again}")

    def _unresolved(self, app: Application, instance: Instance) -> None:
        missing = instance.missing or tuple(
            p for p, (mandatory, _) in instance.kind.imports.items() if mandatory
        )
        for prefix in missing[:1]:
            self._waits.append((instance.path, prefix))
            names = instance.kind.imports.get(prefix, [True, ["*"]])[1]
            wanted = prefix if "*" in names else ", ".join(f"{prefix}.{name}" for name in names)
            self._say(instance, f"waits for {wanted}")
            self._provider(app, instance, prefix)

    def _provider(self, app: Application, instance: Instance, prefix: str) -> None:
        found = self._exporters(app, instance, prefix)
        if not found:
            if prefix in instance.kind.outside and not app.bindings.get(prefix):
                self._say(instance, f"{prefix} is not bound to an application")
            else:
                self._say(instance, f"no instance exports {prefix}")
            return
        # One provider is enough: the one that is nearest to being started tells most.
        other, exporter = min(found, key=lambda one: (_distance(one[1]), one[1].path))
        if exporter.is_settled() and exporter.state == states.STARTED:
            node = exporter.scope.node
            if node is not None and not node.online:
                self._say(exporter, f"exports {prefix}")
                self._node(other, node)
            else:
                self._say(exporter, f"exports {prefix}; its values are on their way")
        else:
            self._say(exporter, f"exports {prefix} and is {shown_state(exporter)}")
            self._follow(other, exporter)

    def _exporters(
        self, app: Application, instance: Instance, prefix: str
    ) -> list[tuple[Application, Instance]]:
        apps = [app] if prefix in instance.kind.imported else []
        if prefix in instance.kind.outside:
            bound = app.bindings.get(prefix, ())
            apps += [self._world.by_id[i] for i in bound if i in self._world.by_id]
        return [
            (other, one)
            for other in apps
            for one in other.instances.values()
            if prefix in one.kind.exported and one is not instance and not one.leaving
        ]


def _lowest(instance: Instance) -> Instance | None:
    """Return the instance whose wish keeps this one from being started, if one does."""
    if instance.leaving:
        return instance
    for one in [instance, *instance.ancestors()]:
        if one.leaving or one.wish != states.STARTED:
            return one
    return None


_NEAR = (states.STARTED, states.STARTING, states.STOPPED, states.WAITING, states.UNRESOLVED)


def _distance(instance: Instance) -> int:
    return _NEAR.index(instance.state) if instance.state in _NEAR else len(_NEAR)
