"""Enrolled machines: identities and keys for boards and boxes, tokens to join with, approval.

A key leaves the coordinator once, in the answer to the request that made it.
"""

from typing import Any

from fieldconf_microagent.settings import MOST_BROKERS, SettingsError, brokers

from ..core.model import Enrolled
from ..service.service import Service
from . import questions
from .common import COUNT, YES_NO
from .envelope import Refusal
from .routes import Call, Route
from .routes_fleet import NODE, TAG
from .schemas import items, mapping, record, text

#: One URL, or a list of some.
Broker = str | list[str]

_ID = text(32, pattern=r"^[A-Za-z0-9_-]+$", description="a name of letters, digits, - and _")
_ENROLLED = record(
    "id enrolment settings",
    id=_ID,
    enrolment=COUNT,
    settings={
        **mapping({}, 100),
        "description": "what the agent there reads as settings.json; it holds the key",
    },
)
_ASKED = record(
    "id",
    id=_ID,
    board={**text(64), "description": "kind of board, such as esp32"},
    tags=items(TAG, 50),
    join={**YES_NO, "description": "it has to be approved once it was heard"},
    broker={
        **items(text(256), MOST_BROKERS),
        **text(256),
        "type": ["string", "array"],
        "description": "URL of the broker as seen from there, or a list of such; the first that "
        "answers serves",
    },
)
_GONE = record("id", id=_ID)


def enrol_node(call: Call) -> Any:
    """Make an identity and a key for a machine."""
    _check_broker(call.body.get("broker"))
    return call.once(_enrol, **call.body)


def enrol_node_anew(call: Call) -> Any:
    """Give an enrolled machine another key."""
    _check_broker(call.body.get("broker"))
    return call.once(_enrol_anew, node=call.params["node"], broker=call.body.get("broker"))


def approve_node(call: Call) -> Any:
    """Accept a machine that joined with a token."""
    return call.ask(_approve, node=call.params["node"])


def expel_node(call: Call) -> Any:
    """Have an enrolled machine belong to the fleet no more."""
    return call.ask(_expel, node=call.params["node"])


# -- in the service's thread


def _enrol(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    pool = service.fleet.pool_at(now)
    make = pool.token if asked.get("join") else pool.enrol
    one = make(asked["id"], asked.get("board", ""), asked.get("tags", ()))
    return _told(service, one, asked.get("broker"))


def _enrol_anew(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    return _told(service, service.fleet.pool_at(now).enrol_anew(asked["node"]), asked["broker"])


def _told(service: Service, one: Enrolled, broker: Broker | None) -> dict[str, Any]:
    settings = dict(service.home_of(one))
    if broker is not None:
        settings["broker"] = broker
    return {"id": one.id, "enrolment": one.enrolment, "settings": settings}


def _check_broker(broker: Broker | None) -> None:
    """Refuse what agents would refuse, before a key is made.

    Raises:
        Refusal: 422.
    """
    try:
        if broker is not None:
            brokers({"broker": broker})
    except SettingsError as error:
        raise Refusal(422, "bad-broker", str(error), "/broker") from error


def _approve(service: Service, now: int, asked: questions.Asked) -> Any:
    service.fleet.pool_at(now).approve(asked["node"])
    return questions.node(service, now, asked)


def _expel(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    service.fleet.pool_at(now).expel(asked["node"])
    return {"id": asked["node"]}


_BASE = "/api/v1/nodes"
_EXAMPLE = {"id": "roof-7", "board": "esp32", "tags": ["roof"], "broker": "mqtt://gateway:1883"}

ROUTES = [
    Route(
        "POST",
        _BASE,
        enrol_node,
        "releaser",
        "Enrol a machine: an identity and a key for a board or a box.\n\nThe answer holds its "
        "settings, and with them its key, which is not shown again. With `join` it is a token for "
        "a machine that somebody else sets up: it is used only after it was approved.",
        _ENROLLED,
        _ASKED,
        status=201,
        creates=True,
        example=_EXAMPLE,
    ),
    Route(
        "POST",
        _BASE + "/{node}/enrolment",
        enrol_node_anew,
        "releaser",
        "Enrol a machine anew.\n\nIt gets another key and a higher enrolment; whoever has the "
        "former key is not heard any more.",
        _ENROLLED,
        record("", broker=_ASKED["properties"]["broker"]),
        status=201,
        creates=True,
        example={"broker": "mqtt://gateway:1883"},
    ),
    Route(
        "POST",
        _BASE + "/{node}/approval",
        approve_node,
        "releaser",
        "Approve a machine that joined with a token.\n\nIt makes a key of its own.",
        NODE,
    ),
    Route(
        "DELETE",
        _BASE + "/{node}",
        expel_node,
        "releaser",
        "Expel an enrolled machine that is not in use: its key opens nothing any more.",
        _GONE,
    ),
]
