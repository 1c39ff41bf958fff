"""The store: rows of the core in SQLite, written in transactions, read at the start.

* `commit` writes a whole batch or nothing. What is committed has reached the disk: the service
  acknowledges requests and publishes wants because of it. So every commit is synced
  (``synchronous=FULL``), also in WAL mode; reports of nodes make no rows, hence commits are few.
* One process only: a lock that the system lets go of when the process dies, however it dies.
* A store of an older version is copied, then brought forward; one of a newer version is refused.

The core decides what the rows mean (`rows`); columns stand here. A backup is the file that
``VACUUM INTO`` makes (`backup`).
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.types import TypeDecorator

from ..core import rows
from ..core.outbox import Effect
from ..errors import StoreError

FILE = "fleet.db"
LOCK = "fleet.lock"


def _add_column(connection: Connection, table: str, column: str) -> None:
    connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column}"))


SCHEMA = 2
#: From which schema → what brings the tables to the next one, within a transaction.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: lambda c: _add_column(c, "applications", "simulate BOOLEAN"),
}

EVENTS_KEPT = 10_000
_PRUNE_EVERY = 500
_READ_AT_ONCE = 200
_WRITTEN_AT_ONCE = 500


class _Packed(TypeDecorator[Any]):
    """Lists, dictionaries and what they hold, as msgpack."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return msgpack.packb(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return msgpack.unpackb(value, strict_map_key=False)


_METADATA = MetaData()


def _table(name: str, keys: int, /, **columns: Any) -> Table:
    """Return a table; the first `keys` columns are its primary key."""
    made = []
    for place, (column, kind) in enumerate(columns.items()):
        made.append(Column(column, kind, primary_key=place < keys, nullable=place >= keys))
    return Table(name, _METADATA, *made, sqlite_with_rowid=False)


TABLES = {
    table.name: table
    for table in (
        _table(
            "applications",
            1,
            id=String,
            name=String,
            ref=String,
            target=String,
            bindings=_Packed,
            digests=_Packed,
            created=Integer,
            simulate=Boolean,
        ),
        _table(
            "instances",
            2,
            application=String,
            path=String,
            component=String,
            wish=String,
            added=Boolean,
            leaving=Boolean,
            exports=_Packed,
            data=_Packed,
        ),
        _table(
            "nodes",
            1,
            id=String,
            application=String,
            path=String,
            target=String,
            key=LargeBinary,
            enrolment=Integer,
            version=Integer,
            sum=LargeBinary,
            phase=String,
            doomed=Boolean,
            seen=_Packed,
            hardware=_Packed,
            duplicate=Boolean,
            pubs=_Packed,
        ),
        _table(
            "enrolled",
            1,
            id=String,
            key=LargeBinary,
            board=String,
            tags=_Packed,
            enrolment=Integer,
            version=Integer,
            phase=String,
            former=LargeBinary,
            nonce=LargeBinary,
            seen=_Packed,
        ),
        _table("tags", 1, node=String, tags=_Packed),
        _table(
            "lastseen",
            1,
            node=String,
            last=Integer,
            since=Integer,
            info=_Packed,
            memory=Integer,
            address=String,
        ),
        _table("tombstones", 1, node=String, until=Integer, pubs=_Packed),
        _table(
            "changes",
            1,
            id=String,
            application=String,
            name=String,
            text=String,
            paths=_Packed,
            total=Integer,
            started=Integer,
            ended=Integer,
            outcome=String,
        ),
        _table(
            "undos",
            1,
            change=String,
            before=_Packed,
            added=_Packed,
            bound=_Packed,
            stays=_Packed,
        ),
        _table(
            "targets",
            1,
            id=String,
            handler=String,
            name=String,
            description=String,
            properties=_Packed,
        ),
        _table("hints", 1, target=String, applications=_Packed, templates=_Packed),
        _table("placed", 2, application=String, element=String, target=String),
        _table("settings", 1, name=String, value=_Packed),
        # The core knows nothing of these: they belong to the REST interface.
        _table("users", 1, name=String, role=String, password=LargeBinary, created=Integer),
        _table(
            "tokens",
            1,
            id=String,
            name=String,
            user=String,
            role=String,
            hash=LargeBinary,
            created=Integer,
            expires=Integer,
        ),
        _table("sessions", 1, id=String, user=String, csrf=String, expires=Integer),
        _table("answers", 1, id=String, at=Integer, digest=String, answer=_Packed),
        _table(
            "templates",
            1,
            id=String,
            name=String,
            version=String,
            description=String,
            tags=_Packed,
            uploaded=Integer,
            by=String,
            warnings=_Packed,
        ),
        _table("descriptions", 1, application=String, text=String),
    )
}
# Loaded by somebody else.
_NOT_LOADED = frozenset(
    ("settings", "users", "tokens", "sessions", "answers", "templates", "descriptions")
)

_EVENTS = Table(
    "events",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Integer),
    *(Column(name, String) for name in ("kind", "application", "path", "node", "text")),
)


class Rows:
    """The rows of one table: reading them anew each time keeps them out of memory."""

    def __init__(self, store: "Store", name: str) -> None:
        self._store = store
        self._name = name

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._store.rows(self._name)


class Store:
    """The database of one data folder.

    Args:
        folder: where it is, or will be made.
        wall: returns ms since 1970, for the time of events.

    Raises:
        StoreError: another process has it, it is damaged, or newer than this program.
    """

    def __init__(
        self, folder: Path, wall: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self.path = folder / FILE
        self._wall = wall
        self._events_added = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / LOCK)
        except OSError as error:
            text = f"cannot use the data folder {folder}: {error.strerror}"
            raise StoreError(f"{text}; choose another with --data") from error
        self._engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _set_up)
        try:
            with self._words("open"):
                self._open()
        except StoreError:
            self.close()
            raise

    def _open(self) -> None:
        with self._engine.begin() as connection:
            found = self._schema(connection)
        if found is not None and found > SCHEMA:
            raise StoreError(
                f"cannot open {self.path}: it was written by a newer version of fieldconf "
                f"(schema {found}, this one knows {SCHEMA}); install that version"
            )
        if found is not None and found < SCHEMA:
            self.backup(self.path.with_suffix(f".schema{found}"))
        with self._engine.begin() as connection:
            for schema in range(found or SCHEMA, SCHEMA):
                MIGRATIONS[schema](connection)
            _METADATA.create_all(connection)
            self._upsert(connection, "settings", [("schema", {"name": "schema", "value": SCHEMA})])

    def _schema(self, connection: Connection) -> int | None:
        settings = TABLES["settings"]
        there = connection.execute(
            text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'settings'")
        ).first()
        if there is None:
            return None
        row = connection.execute(
            select(settings.c.value).where(settings.c.name == "schema")
        ).first()
        return None if row is None else int(row[0])

    def close(self) -> None:
        """Let go of the folder."""
        self._engine.dispose()
        os.close(self._lock)

    def backup(self, path: Path) -> None:
        """Write a consistent copy to `path`, which is replaced.

        Raises:
            StoreError: it cannot be written.
        """
        with self._words("copy"):
            path.unlink(missing_ok=True)
            with self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            ) as connection:
                connection.execute(text("VACUUM INTO :path"), {"path": str(path)})

    def load(self) -> "dict[str, Rows]":
        """Return table → rows, for `Fleet.restore`.

        Rows are read while one goes through them, and may be gone through again; StoreError then
        means that the file is damaged.
        """
        return {name: Rows(self, name) for name in TABLES if name not in _NOT_LOADED}

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table by primary key, a few at a time."""
        table = TABLES[name]
        names = [str(column.name) for column in table.columns]
        query = select(table).order_by(*table.primary_key)
        with self._words("read"), self._engine.connect() as connection:
            for row in connection.execute(query).yield_per(_READ_AT_ONCE):
                yield dict(zip(names, row, strict=True))

    def commit(self, effects: Iterable[Effect]) -> None:
        """Write the ``store`` and ``event`` effects of a batch; others are passed over.

        When it returns they are on the disk, all of them.

        Raises:
            StoreError: none of them is; what was there before still is.
        """
        upserts: dict[str, dict[Any, Any]] = {}
        deletes: dict[str, dict[Any, None]] = {}
        events = []
        for effect in effects:
            if effect[0] == "store":
                _, table, key, what = effect
                upserts.setdefault(table, {}).pop(key, None)
                deletes.setdefault(table, {}).pop(key, None)
                if what is None:
                    deletes[table][key] = None
                else:
                    upserts[table][key] = what
            elif effect[0] == "event":
                events.append(effect)
        with self._words("save"), self._engine.begin() as connection:
            for table, keys in deletes.items():
                self._delete(connection, table, list(keys))
            for table, whats in upserts.items():
                self._upsert(connection, table, list(whats.items()))
            self._add_events(connection, events)

    def _upsert(self, connection: Connection, name: str, whats: Sequence[tuple[Any, Any]]) -> None:
        """Write the rows of (key, what), which are made some at a time."""
        statement, columns, packed = _upsert_of(name)
        for first in range(0, len(whats), _WRITTEN_AT_ONCE):
            values = []
            for key, what in whats[first : first + _WRITTEN_AT_ONCE]:
                row = rows.of(key, what)
                one = [row[column] for column in columns]
                for place in packed:
                    one[place] = msgpack.packb(one[place])
                values.append(tuple(one))
            connection.exec_driver_sql(statement, values)

    def _delete(self, connection: Connection, name: str, keys: Sequence[Any]) -> None:
        if not keys:
            return
        columns = [column.name for column in TABLES[name].primary_key]
        condition = " AND ".join(f"{column} = :{column}" for column in columns)
        values = [
            dict(zip(columns, key if isinstance(key, tuple) else (key,), strict=True))
            for key in keys
        ]
        connection.execute(text(f"DELETE FROM {name} WHERE {condition}"), values)

    def _add_events(self, connection: Connection, events: Sequence[Effect]) -> None:
        if not events:
            return
        at = self._wall()
        names = ("kind", "application", "path", "node", "text")
        lines = [{"at": at, **dict(zip(names, one[1:], strict=True))} for one in events]
        connection.execute(_EVENTS.insert(), lines)
        self._events_added += len(lines)
        if self._events_added >= _PRUNE_EVERY:
            self._events_added = 0
            statement = "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - :kept"
            connection.execute(text(statement), {"kept": EVENTS_KEPT})

    def events(
        self,
        application: str | None = None,
        most: int = 1000,
        kind: str | None = None,
        before: int | None = None,
        after: int | None = None,
        path: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the latest events, oldest first.

        Args:
            application: only its events.
            most: how many.
            kind: only of this kind.
            before: only those with a lower id.
            after: only those with a higher id.
            path: only of this instance and of those below it.
        """
        query = select(_EVENTS).order_by(_EVENTS.c.id.desc()).limit(most)
        if application is not None:
            query = query.where(_EVENTS.c.application == application)
        if kind is not None:
            query = query.where(_EVENTS.c.kind == kind)
        if path is not None:
            below = func.substr(_EVENTS.c.path, 1, len(path) + 1) == path + "/"
            query = query.where((_EVENTS.c.path == path) | below)
        if before is not None:
            query = query.where(_EVENTS.c.id < before)
        if after is not None:
            query = query.where(_EVENTS.c.id > after)
        with self._words("read"), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()][::-1]

    def last_event(self) -> int:
        """Return the id of the latest event, 0 where there is none."""
        with self._words("read"), self._engine.connect() as connection:
            row = connection.execute(text("SELECT max(id) FROM events")).first()
        return int(row[0] or 0) if row is not None else 0

    def setting(self, name: str) -> Any:
        """Return a setting, or None; ``fleet`` is the fleet's id."""
        settings = TABLES["settings"]
        with self._words("read"), self._engine.connect() as connection:
            row = connection.execute(
                select(settings.c.value).where(settings.c.name == name)
            ).first()
        return None if row is None else row[0]

    @contextmanager
    def _words(self, verb: str) -> Iterator[None]:
        """Turn errors of the database into words."""
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"cannot {verb} {self.path}: {_reason(error)}") from error
        except OSError as error:
            raise StoreError(f"cannot {verb} {self.path}: {error.strerror}") from error


@cache
def _upsert_of(name: str) -> tuple[str, list[str], list[int]]:
    """Return a statement, the columns in its order, and which of them are packed.

    SQLAlchemy would go through all columns of all rows several times, which takes longer than
    writing them.
    """
    table = TABLES[name]
    made = insert(table)
    others = {c.name: made.excluded[c.name] for c in table.columns if not c.primary_key}
    keys = list(table.primary_key)
    compiled = made.on_conflict_do_update(index_elements=keys, set_=others).compile(
        dialect=sqlite_dialect()
    )
    columns = list(compiled.positiontup or ())
    packed = [
        place for place, column in enumerate(columns) if type(table.c[column].type) is _Packed
    ]
    return str(compiled), columns, packed


_HINTS = {
    "full": "; make room on the disk",
    "malformed": "; the file is damaged: restore a backup",
    "not a database": "; the file is damaged: restore a backup",
    "readonly": "; the coordinator must be allowed to write it",
    "locked": "; another program has it open",
}


def _reason(error: DBAPIError) -> str:
    said = str(error.orig)
    return said + next((hint for word, hint in _HINTS.items() if word in said), "")


def _set_up(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # The few pages that are needed often; the rest would only fill memory.
    connection.execute("PRAGMA cache_size = -1024")


def _lock(path: Path) -> int:
    """Take the lock and return its descriptor.

    Raises:
        StoreError: another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise StoreError(
            f"cannot use {path.parent}: another coordinator (process {pid or 'unknown'}) uses it; "
            "stop that one, or choose another folder"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor
