"""Life cycle of one instance: which event leads from which state to which, and by which step.

The whole life cycle is the table `TRANSITIONS`. Nothing else in the project decides about a state:
the agent looks at the facts, names an event, looks it up here and runs the step that the table
names. The coordinator, the console and the documentation's diagram read the same table.

Three sources of events:

* what is wished: ``deploy``, ``start``, ``stop``, ``undeploy``, ``upgrade``
* the world around: ``update`` (imports changed), ``check`` (its time has come), ``hold`` (a
  mandatory import has no provider), ``wait`` (the parent is not started)
* the end of a step: ``done``, ``failed``, ``kept``

A state that ends in *-ing* has a step under way; all others are stable. A failed step leads back to
a stable state: the instance stays there with its problem until the step is tried again.
"""

NOT_DEPLOYED = "not-deployed"
DEPLOYING = "deploying"
STOPPED = "deployed-stopped"
UNRESOLVED = "unresolved"
WAITING = "waiting-for-ancestor"
STARTING = "starting"
STARTED = "deployed-started"
STOPPING = "stopping"
UNDEPLOYING = "undeploying"

# What can be wished for, from the lowest to the highest.
WISHES = (NOT_DEPLOYED, STOPPED, STARTED)

_DOWN = {
    "start": (STARTING, "start"),
    "hold": (UNRESOLVED, None),
    "wait": (WAITING, None),
    "stop": (STOPPED, None),
    # A new digest replaces the old one while nothing runs.
    "deploy": (DEPLOYING, "deploy"),
    "undeploy": (UNDEPLOYING, "undeploy"),
}

# state: {event: (next state, step to run or None)}
TRANSITIONS: "dict[str, dict[str, tuple[str, str | None]]]" = {
    NOT_DEPLOYED: {"deploy": (DEPLOYING, "deploy")},
    # ``kept``: it failed, but what was deployed before is there, and may be undeployed.
    DEPLOYING: {"done": (STOPPED, None), "failed": (NOT_DEPLOYED, None), "kept": (STOPPED, None)},
    STOPPED: _DOWN,
    # Waits here, however long, until every mandatory import has a provider.
    UNRESOLVED: _DOWN,
    # Waits here until the parent is started.
    WAITING: _DOWN,
    STARTING: {"done": (STARTED, None), "failed": (STOPPED, None)},
    STARTED: {
        "update": (STARTED, "update"),
        "upgrade": (STARTED, "upgrade"),
        "check": (STARTED, "check"),
        "stop": (STOPPING, "stop"),
        "done": (STARTED, None),
        "failed": (STARTED, None),
    },
    STOPPING: {"done": (STOPPED, None), "failed": (STARTED, None)},
    UNDEPLOYING: {"done": (NOT_DEPLOYED, None), "failed": (STOPPED, None)},
}

STATES = tuple(sorted(TRANSITIONS))


class TransitionError(ValueError):
    """A state does not know an event; nothing has changed."""


def next_step(state: str, event: str) -> "tuple[str, str | None]":
    """Return the state that follows `state` on `event`, and the step due on the way.

    Raises:
        TransitionError: `state` does not accept `event`.
    """
    after = TRANSITIONS[state].get(event)
    if after is None:
        raise TransitionError("%s does not accept %s" % (state, event))
    return after


def is_stable(state: str) -> bool:
    """Tell whether no step leads out of `state` by itself."""
    return state not in (DEPLOYING, STARTING, STOPPING, UNDEPLOYING)


def is_deployed(state: str) -> bool:
    """Tell whether an instance has its files in place, so that children may be deployed in it."""
    return state not in (NOT_DEPLOYED, DEPLOYING, UNDEPLOYING)
