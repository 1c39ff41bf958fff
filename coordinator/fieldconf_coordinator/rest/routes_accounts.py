"""Sessions, users and tokens."""

import hashlib
from typing import Any

from . import accounts
from .common import NAME, TIME, YES_NO
from .envelope import Answer, Refusal
from .routes import ANYBODY, ROLES, Call, Route
from .schemas import items, or_null, record, text, whole

_ROLE = {"type": "string", "enum": list(ROLES)}
_PASSWORD = text(1000, minLength=10, description="at least 10 characters")
_USER_NAME = text(64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")
_SESSION = record(
    "user role via csrf",
    user=text(),
    role={"type": "string", "enum": [*ROLES, ""], "description": "empty: not logged in"},
    via={"type": "string", "enum": ["session", "token", "dev", "local", ""]},
    csrf={**text(), "description": "to be sent as X-CSRF-Token with what changes something"},
    first={**YES_NO, "description": "there is no admin yet: make one with POST /users"},
)
_USER = record("name role created", name=NAME, role=_ROLE, created=TIME)
_TOKEN = record(
    "id name user role created expires",
    id=text(20),
    name=NAME,
    user=NAME,
    role=_ROLE,
    created=TIME,
    expires=or_null(TIME),
)


# -- sessions


def describe_session(call: Call) -> Any:
    return _session(call, call.who)


def log_in(call: Call) -> Answer:
    body, known = call.body, call.rest.accounts
    if "token" in body:
        session, who = known.log_in_with(body["token"], call.client)
    elif "user" in body and "password" in body:
        session, who = known.log_in(body["user"], body["password"], call.client)
    else:
        raise Refusal(422, "bad-body", "the body needs 'user' and 'password', or 'token'", "/")
    headers = {"Set-Cookie": _cookie(call, session, accounts.SESSION_S)}
    return Answer(_session(call, who), headers=headers)


def log_out(call: Call) -> Answer:
    call.rest.accounts.log_out(call.who)
    return Answer({}, headers={"Set-Cookie": _cookie(call, "", 0)})


def _session(call: Call, who: accounts.Who) -> dict[str, Any]:
    return {
        "user": who.name,
        "role": who.role,
        "via": who.via,
        "csrf": who.csrf,
        "first": who.name == accounts.FIRST or _is_empty(call, who),
    }


def _is_empty(call: Call, who: accounts.Who) -> bool:
    """Tell whether it is no use to ask one who is not logged in for user and password."""
    return who.role == ANYBODY and not call.rest.accounts.users()


def _cookie(call: Call, value: str, age_s: int) -> str:
    secure = "; Secure" if call.rest.options.is_tls else ""
    return f"{accounts.COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"


# -- users


def list_users(call: Call) -> Any:
    return [_user(row) for row in call.rest.accounts.users()]


def describe_user(call: Call) -> Answer:
    return _tagged(call.rest.accounts.user(call.params["user"]))


def create_user(call: Call) -> Answer:
    row = call.rest.accounts.add_user(call.body["name"], call.body["role"], call.body["password"])
    answer = _tagged(row)
    answer.headers["Location"] = f"/api/v1/users/{row['name']}"
    return answer


def edit_user(call: Call) -> Answer:
    """Change a user's role or password."""
    body = call.body
    row = call.rest.accounts.edit_user(
        call.params["user"], body.get("role"), body.get("password"), _unchanged(call)
    )
    return _tagged(row)


def delete_user(call: Call) -> Any:
    call.rest.accounts.delete_user(call.params["user"], _unchanged(call))
    return {"name": call.params["user"]}


def change_password(call: Call) -> Any:
    """Change one's own password; it ends one's sessions."""
    known = call.rest.accounts
    known.check_password(call.who.name, call.body["password"], call.client)
    known.edit_user(call.who.name, None, call.body["new_password"], lambda row: None)
    return {}


def _user(row: accounts.Row) -> dict[str, Any]:
    return {name: row[name] for name in ("name", "role", "created")}


def _tag(row: accounts.Row) -> str:
    found = hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()
    return f'"{found[:16]}"'


def _tagged(row: accounts.Row) -> Answer:
    return Answer(_user(row), headers={"ETag": _tag(row)})


def _unchanged(call: Call) -> Any:
    return lambda row: call.if_match(_tag(row))


# -- tokens


def list_tokens(call: Call) -> Any:
    """List one's own tokens; admins see all."""
    user = None if call.who.role == "admin" else call.who.name
    return [_token(row) for row in call.rest.accounts.tokens(user)]


def create_token(call: Call) -> Answer:
    """Make a token for oneself, with at most the own role. It is shown this once."""
    role = call.body.get("role", call.who.role)
    if ROLES.index(role) > ROLES.index(call.who.role):
        raise Refusal(
            403, "not-allowed", f"{call.who.name} is {call.who.role}, not {role}", "/role"
        )
    if call.who.via in ("dev", "local"):
        hint = "log in as a user first, or make one with POST /api/v1/users"
        raise Refusal(409, "conflict", "a token belongs to a user", hint=hint)
    days = call.body.get("days")
    token, row = call.rest.accounts.add_token(call.who.name, call.body["name"], role, days)
    headers = {"Location": f"/api/v1/tokens/{row['id']}"}
    return Answer({**_token(row), "token": token}, headers=headers)


def delete_token(call: Call) -> Any:
    call.rest.accounts.delete_token(call.params["token"], call.who)
    return {"id": call.params["token"]}


def _token(row: accounts.Row) -> dict[str, Any]:
    names = ("id", "name", "user", "role", "created")
    expires = row["expires"] * 1000 if row["expires"] else None
    return {**{name: row[name] for name in names}, "expires": expires}


_BASE = "/api/v1"

ROUTES = [
    Route("GET", _BASE + "/session", describe_session, ANYBODY, "Who am I?", _SESSION),
    Route(
        "POST",
        _BASE + "/session",
        log_in,
        ANYBODY,
        "Log in with user and password, or with a token; sets a cookie.",
        _SESSION,
        record("", user=text(64), password=text(1000), token=text(200)),
        example={"user": "anna", "password": "correct horse"},
    ),
    Route("DELETE", _BASE + "/session", log_out, ANYBODY, "Log out.", record()),
    Route(
        "PUT",
        _BASE + "/session/password",
        change_password,
        "viewer",
        "Change one's own password.",
        record(),
        record("password new_password", password=text(1000), new_password=_PASSWORD),
        example={"password": "correct horse", "new_password": "battery staple"},
    ),
    Route("GET", _BASE + "/users", list_users, "admin", "List the users.", items(_USER)),
    Route(
        "POST",
        _BASE + "/users",
        create_user,
        "admin",
        "Make a user.",
        _USER,
        record("name role password", name=_USER_NAME, role=_ROLE, password=_PASSWORD),
        status=201,
        example={"name": "anna", "role": "operator", "password": "correct horse"},
    ),
    Route("GET", _BASE + "/users/{user}", describe_user, "admin", "Describe a user.", _USER),
    Route(
        "PATCH",
        _BASE + "/users/{user}",
        edit_user,
        "admin",
        "Change a user's role or password.",
        _USER,
        record("", role=_ROLE, password=_PASSWORD),
        is_edit=True,
        example={"role": "releaser"},
    ),
    Route(
        "DELETE",
        _BASE + "/users/{user}",
        delete_user,
        "admin",
        "Delete a user with all tokens.",
        record("name", name=NAME),
        is_edit=True,
    ),
    Route(
        "GET",
        _BASE + "/tokens",
        list_tokens,
        "viewer",
        "List one's own tokens; admins see all.",
        items(_TOKEN),
    ),
    Route(
        "POST",
        _BASE + "/tokens",
        create_token,
        "viewer",
        "Make a token for programs. It is shown this once.",
        {**_TOKEN, "properties": {**_TOKEN["properties"], "token": text(200)}},
        record("name", name=text(128, minLength=1), role=_ROLE, days=whole(1, 3660)),
        status=201,
        example={"name": "the build", "role": "releaser", "days": 90},
    ),
    Route(
        "DELETE",
        _BASE + "/tokens/{token}",
        delete_token,
        "viewer",
        "Revoke a token: one's own, or any as admin.",
        record("id", id=text(20)),
    ),
]
