"""Who asks: users, tokens and sessions, and what each of them may.

* Passwords are kept as scrypt hashes; tokens and session ids, which are random, as SHA-256.
* A session's cookie is HttpOnly and SameSite=Strict; what changes something needs its CSRF token
  in a header, too, and must come from a page of this very server.
* With `dev`, whoever asks from this box without a login is admin. The name of the host must be that
  of the box itself: otherwise any page of the internet could ask in its visitor's name.
* The command line on this box logs in with a token of the data folder (`local`), made anew at every
  start: who can read that folder owns the fleet anyway.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from .envelope import Refusal
from .limits import Failures
from .passwords import digest_of, hash_password, is_password
from .routes import ANYBODY, ROLES

COOKIE = "fieldconf"
FIRST = "first-start"
SESSION_S = 7 * 86_400
LOOPBACK = frozenset(("127.0.0.1", "::1", "::ffff:127.0.0.1"))
_LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))

_MOST_SESSIONS = 1000

Row = dict[str, Any]
#: Writes rows: (table, key, row or None), all or none.
Save = Callable[[list[tuple[str, str, Row | None]]], None]


@dataclass(frozen=True)
class Who:
    """Somebody who asks.

    Attributes:
        role: one of `ROLES`, or `ANYBODY` for one who is not logged in.
        via: "token", "session", "dev", "local", or "".
        key: of the token or session.
        csrf: of the session.
        problem: why a login that was shown does not count.
    """

    name: str
    role: str
    via: str = ""
    key: str = ""
    csrf: str = ""
    problem: str = ""


NOBODY = Who("", ANYBODY)


class Accounts:
    """All accounts, in memory as in the store; writes go to the store first.

    Args:
        rows: table → its rows.
        save: writes them.
        dev: whoever asks from this box is admin.
    """

    def __init__(self, rows: Mapping[str, list[Row]], save: Save, dev: bool = False) -> None:
        self._save = save
        self._dev = dev
        self._lock = threading.RLock()
        self._users = {row["name"]: row for row in rows["users"]}
        self._tokens = {row["id"]: row for row in rows["tokens"]}
        self._by_hash = {row["hash"].hex(): row for row in rows["tokens"]}
        now = time.time()
        self._sessions = {row["id"]: row for row in rows["sessions"] if row["expires"] > now}
        self._failures = Failures()
        self._nobody = hash_password(secrets.token_hex(16))
        self.local = "fcl_" + secrets.token_urlsafe(32)
        self._local = digest_of(self.local)

    # -- who asks

    def who(self, headers: Mapping[str, str], client: str) -> Who:
        """Return who sends a request with these headers."""
        given = headers.get("authorization", "")
        if given:
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer":
                return Who("", ANYBODY, problem="expected a login of the kind 'Bearer <token>'")
            return self._of_token(token.strip())
        session = _cookie(headers.get("cookie", ""))
        if session:
            found = self._of_session(digest_of(session))
            if found.role != ANYBODY or not self._dev:
                return found
        if self._dev and client in LOOPBACK and _host(headers) in _LOOPBACK_HOSTS:
            return Who("dev", "admin", "dev")
        return NOBODY

    def _of_token(self, token: str) -> Who:
        digest = digest_of(token)
        if hmac.compare_digest(digest, self._local):
            return Who("local", "admin", "local")
        row = self._by_hash.get(digest)
        if row is None or (row["expires"] and row["expires"] < time.time()):
            return Who("", ANYBODY, problem="this token is unknown, revoked or expired")
        return self._capped(row["user"], row["role"], "token", row["id"])

    def _of_session(self, key: str) -> Who:
        row = self._sessions.get(key)
        if row is None or row["expires"] < time.time():
            return Who("", ANYBODY, problem="the session has ended; log in again")
        return self._capped(row["user"], "admin", "session", key, row["csrf"])

    def _capped(self, name: str, role: str, via: str, key: str, csrf: str = "") -> Who:
        """Return the user with the lower of both roles: nobody may more than the user."""
        if name != FIRST:
            user = self._users.get(name)
            if user is None:
                return Who("", ANYBODY, problem=f"there is no user {name} any more")
            role = min(role, user["role"], key=ROLES.index)
        return Who(name, role, via, key, csrf)

    def is_valid(self, who: Who) -> bool:
        """Tell whether somebody who was let in still may."""
        if who.via == "session":
            return self._of_session(who.key).role == who.role
        if who.via == "token":
            row = self._tokens.get(who.key)
            if row is None or (row["expires"] and row["expires"] < time.time()):
                return False
            return self._capped(row["user"], row["role"], "token", who.key).role == who.role
        return True

    def check_origin(self, headers: Mapping[str, str], who: Who) -> None:
        """Refuse what another site's page makes a browser send.

        Raises:
            Refusal: 403.
        """
        if who.via in ("token", "local"):
            return  # no page of another site can know it
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin is not None:
            foreign = urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        else:
            foreign = site not in ("same-origin", "none")
        if foreign:
            raise Refusal(
                403, "cross-site", "the request comes from a page of another site", "Origin"
            )
        if who.via == "session" and not hmac.compare_digest(
            headers.get("x-csrf-token", "").encode(), who.csrf.encode()
        ):
            raise Refusal(
                403,
                "bad-csrf",
                "the session's CSRF token is missing or wrong",
                "X-CSRF-Token",
                "GET /api/v1/session tells it",
            )

    # -- sessions

    def log_in(self, name: str, password: str, client: str) -> tuple[str, Who]:
        """Return a new session's id and whose it is.

        Raises:
            Refusal: 401, or 429 after too many failures.
        """
        keys = (f"user {name}", f"client {client}")
        self._failures.check(*keys)
        user = self._users.get(name)
        # Takes as long for a user that there is not.
        kept = user["password"] if user is not None else self._nobody
        if not is_password(password, kept) or user is None:
            self._failures.note(*keys)
            raise Refusal(401, "bad-login", "user or password is wrong")
        self._failures.forget(*keys)
        return self._new_session(name)

    def log_in_with(self, token: str, client: str) -> tuple[str, Who]:
        """Return a new session's id for the holder of a token.

        Raises:
            Refusal: 401, or 429 after too many failures.
        """
        self._failures.check(f"client {client}")
        who = self._of_token(token)
        if who.via != "token":
            self._failures.note(f"client {client}")
            raise Refusal(401, "bad-login", who.problem or "this token makes no session")
        row = self._tokens[who.key]
        if who.name != FIRST and row["role"] != who.role:
            who = self._capped(who.name, row["role"], "token", who.key)
        if who.name != FIRST and who.role != self._users[who.name]["role"]:
            raise Refusal(403, "not-allowed", "this token may less than its user; use the password")
        return self._new_session(who.name)

    def check_password(self, name: str, password: str, client: str) -> None:
        """Refuse a wrong password.

        Raises:
            Refusal: 403, or 429 after too many failures.
        """
        keys = (f"user {name}", f"client {client}")
        self._failures.check(*keys)
        user = self.user(name)
        if not is_password(password, user["password"]):
            self._failures.note(*keys)
            raise Refusal(403, "bad-login", "the password is wrong", "/password")

    def _new_session(self, name: str) -> tuple[str, Who]:
        session, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        expires = int(time.time()) + SESSION_S
        row: Row = {"id": digest_of(session), "user": name, "csrf": csrf, "expires": expires}
        with self._lock:
            writes = self._old_sessions()
            self._save([*writes, ("sessions", row["id"], row)])
            for _, key, _ in writes:
                self._sessions.pop(key, None)
            self._sessions[row["id"]] = row
        return session, self._of_session(row["id"])

    def _old_sessions(self) -> list[tuple[str, str, Row | None]]:
        now = time.time()
        old = [key for key, row in self._sessions.items() if row["expires"] < now]
        if len(self._sessions) - len(old) >= _MOST_SESSIONS:
            old.append(min(self._sessions, key=lambda key: self._sessions[key]["expires"]))
        return [("sessions", key, None) for key in old]

    def log_out(self, who: Who) -> None:
        """End a session."""
        with self._lock:
            if who.key in self._sessions:
                self._save([("sessions", who.key, None)])
                del self._sessions[who.key]

    # -- users

    def users(self) -> list[Row]:
        """Return all users by name."""
        return [self._users[name] for name in sorted(self._users)]

    def user(self, name: str) -> Row:
        """Return a user.

        Raises:
            Refusal: there is none.
        """
        found = self._users.get(name)
        if found is None:
            raise Refusal(404, "unknown-user", f"there is no user {name!r}")
        return found

    def add_user(self, name: str, role: str, password: str) -> Row:
        """Make a user; the first admin ends the token of the first start."""
        if name in (FIRST, "dev", "local", "coordinator"):
            raise Refusal(422, "bad-name", f"the name {name!r} is taken", "/name")
        row = {
            "name": name,
            "role": role,
            "password": hash_password(password),
            "created": int(time.time() * 1000),
        }
        with self._lock:
            if name in self._users:
                raise Refusal(409, "conflict", f"there is a user {name!r} already", "/name")
            writes: list[tuple[str, str, Row | None]] = [("users", name, row)]
            first = self._first() if role == "admin" else []
            writes += first
            self._save(writes)
            self._users[name] = row
            self._forget(first)
        return row

    def _first(self) -> list[tuple[str, str, Row | None]]:
        """Return what ends the first start's token and its sessions."""
        tokens = [t["id"] for t in self._tokens.values() if t["user"] == FIRST]
        sessions = [key for key, row in self._sessions.items() if row["user"] == FIRST]
        return [("tokens", key, None) for key in tokens] + [
            ("sessions", key, None) for key in sessions
        ]

    def edit_user(
        self, name: str, role: str | None, password: str | None, unchanged: Callable[[Row], None]
    ) -> Row:
        """Change role or password; a new password ends the user's sessions."""
        with self._lock:
            before = self.user(name)
            unchanged(before)
            row = dict(before)
            if role is not None:
                row["role"] = role
            if password is not None:
                row["password"] = hash_password(password)
            if before["role"] == "admin" != row["role"]:
                self._check_other_admin(name)
            ended = self._sessions_of(name) if password is not None else []
            self._save([("users", name, row), *ended])
            self._users[name] = row
            self._forget(ended)
        return row

    def delete_user(self, name: str, unchanged: Callable[[Row], None]) -> None:
        """Delete a user with all tokens and sessions."""
        with self._lock:
            row = self.user(name)
            unchanged(row)
            if row["role"] == "admin":
                self._check_other_admin(name)
            ended = self._sessions_of(name)
            ended += [("tokens", t["id"], None) for t in self._tokens.values() if t["user"] == name]
            self._save([("users", name, None), *ended])
            del self._users[name]
            self._forget(ended)

    def _check_other_admin(self, name: str) -> None:
        if not any(u["role"] == "admin" for u in self._users.values() if u["name"] != name):
            raise Refusal(
                409, "conflict", f"{name} is the last admin", hint="make another admin first"
            )

    def _sessions_of(self, name: str) -> list[tuple[str, str, Row | None]]:
        return [("sessions", key, None) for key, s in self._sessions.items() if s["user"] == name]

    def _forget(self, writes: list[tuple[str, str, Row | None]]) -> None:
        for table, key, _ in writes:
            if table == "sessions":
                self._sessions.pop(key, None)
            else:
                row = self._tokens.pop(key, None)
                if row is not None:
                    self._by_hash.pop(row["hash"].hex(), None)

    # -- tokens

    def tokens(self, user: str | None) -> list[Row]:
        """Return the tokens of a user, or all with None, by id."""
        rows = sorted(self._tokens.values(), key=lambda row: str(row["id"]))
        return [row for row in rows if user in (None, row["user"])]

    def add_token(self, user: str, name: str, role: str, days: int | None) -> tuple[str, Row]:
        """Make a token; return it, which nobody can do a second time, and its row."""
        token = "fc_" + secrets.token_urlsafe(32)
        now = int(time.time())
        row: Row = {
            "id": secrets.token_hex(6),
            "name": name,
            "user": user,
            "role": role,
            "hash": bytes.fromhex(digest_of(token)),
            "created": now * 1000,
            "expires": now + days * 86_400 if days else None,
        }
        with self._lock:
            self._save([("tokens", row["id"], row)])
            self._tokens[row["id"]] = row
            self._by_hash[row["hash"].hex()] = row
        return token, row

    def delete_token(self, token_id: str, who: Who) -> None:
        """Revoke a token: one's own, or any as admin."""
        with self._lock:
            row = self._tokens.get(token_id)
            if row is None or (who.role != "admin" and row["user"] != who.name):
                raise Refusal(404, "unknown-token", f"there is no token {token_id!r} of yours")
            self._save([("tokens", token_id, None)])
            self._forget([("tokens", token_id, None)])

    def first_token(self) -> str | None:
        """Return a new token for the first start, None where there is an admin already."""
        with self._lock:
            if any(user["role"] == "admin" for user in self._users.values()):
                return None
            old = self._first()
            self._save(old)
            self._forget(old)
            return self.add_token(FIRST, FIRST, "admin", None)[0]


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit("//" + headers.get("host", "")).hostname or ""
    except ValueError:
        return ""
