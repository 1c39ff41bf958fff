"""What is committed is on disk, whole, whatever happens to the process or the disk."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from fieldconf_coordinator.core.fleet import Fleet
from fieldconf_coordinator.errors import StoreError
from fieldconf_coordinator.service import store as store_module
from fieldconf_coordinator.service.store import FILE, Store
from fieldconf_microagent import codec
from support.desk import Desk, web_template


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path, wall=lambda: 1000)
    yield store
    store.close()


def loaded(store):
    return {name: list(rows) for name, rows in store.load().items()}


def change(number, text="deploy"):
    return {
        "id": str(number),
        "application": "a",
        "name": "shop",
        "text": text,
        "paths": ["/a"],
        "total": 1,
        "started": 1,
        "ended": None,
        "outcome": "running",
    }


def put(number, text="deploy"):
    return ("store", "changes", str(number), change(number, text))


def test_rows_come_back_as_they_were_written(store):
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.on_target(0, desk.node_id("/web1"), "destroyed")
    desk.take()
    store.commit(desk.effects)

    tables = {}
    for (table, _), row in desk.rows.items():
        tables.setdefault(table, []).append(row)
    for table, rows in loaded(store).items():
        packed = {codec.pack(row) for row in tables.get(table, [])}
        assert {codec.pack(row) for row in rows} == packed, table


def test_a_fleet_from_the_store_has_the_same_wants(tmp_path):
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    with_store = Store(tmp_path)
    with_store.commit(desk.effects)
    with_store.close()

    again = Store(tmp_path)
    fleet = Fleet("fc", "fleet")
    fleet.restore(again.load(), desk.templates)
    fleet.on_link(0, True)
    fleet.tick(0)
    published = {e[1]: e[2] for e in fleet.take() if e[0] == "publish"}
    again.close()

    assert published == desk.retained


def test_later_effects_of_a_batch_win(store):
    gone = ("store", "changes", "2", None)
    store.commit([put(1, "old"), put(2), put(1, "new"), gone, put(3), ("publish", "x", b"", 1, 0)])
    store.commit([("store", "changes", "3", None)])

    assert [(row["id"], row["text"]) for row in loaded(store)["changes"]] == [("1", "new")]


def test_a_batch_is_written_whole_or_not_at_all(store):
    store.commit([put(1)])
    broken = {**change(3), "name": object()}

    with pytest.raises((StoreError, sqlalchemy.exc.StatementError)):
        store.commit([put(2), ("store", "changes", "1", None), ("store", "changes", "3", broken)])

    assert [row["id"] for row in loaded(store)["changes"]] == ["1"]


def test_what_is_committed_is_synced_to_the_disk(store):
    with store._engine.connect() as connection:
        told = {
            name: connection.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous")
        }

    assert told == {"journal_mode": "wal", "synchronous": 2}, "2 stands for FULL"


def test_a_full_disk_is_told_and_leaves_the_last_good_state(store):
    store.commit([put(1)])
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(StoreError, match=r"cannot save .*fleet\.db: .*full; make room"):
        store.commit([put(n, "x" * 1000) for n in range(2, 200)])

    assert [row["id"] for row in loaded(store)["changes"]] == ["1"]
    store.commit([put(1, "still works")])
    assert loaded(store)["changes"][0]["text"] == "still works"


def test_events_are_kept_up_to_a_bound(store, monkeypatch):
    monkeypatch.setattr(store_module, "EVENTS_KEPT", 20)
    monkeypatch.setattr(store_module, "_PRUNE_EVERY", 5)
    for number in range(50):
        app = "shop" if number % 2 else "other"
        store.commit([("event", "node", app, "/a", "n1", f"text {number}")])

    assert len(store.events()) <= 25
    assert store.events("shop", most=2) == [
        {
            "id": number + 1,
            "at": 1000,
            "kind": "node",
            "application": "shop",
            "path": "/a",
            "node": "n1",
            "text": f"text {number}",
        }
        for number in (47, 49)
    ]


def test_a_second_store_on_one_folder_is_refused_and_names_the_first(store, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from fieldconf_coordinator.service.store import Store\n"
        "Store(Path(sys.argv[1]))"
    )
    second = run(code, tmp_path)

    assert second.returncode == 1
    assert f"another coordinator (process {os.getpid()}) uses it" in second.stderr


def test_a_store_can_be_opened_again_when_the_first_is_closed(tmp_path):
    Store(tmp_path).close()
    Store(tmp_path).close()


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\0" + b"x" * 999]
)
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(StoreError, match="damaged"):
        Store(tmp_path)


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"cannot use the data folder .* choose another"):
        Store(tmp_path / "file" / "data")


def test_a_store_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SCHEMA", 9)
    Store(tmp_path).close()
    monkeypatch.setattr(store_module, "SCHEMA", 1)

    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path)


def test_an_older_store_is_copied_and_brought_forward(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.commit([put(1, "before")])
    store.close()

    def migrate(connection):
        connection.execute(sqlalchemy.text("UPDATE changes SET text = 'after'"))

    now = store_module.SCHEMA
    monkeypatch.setattr(store_module, "SCHEMA", now + 1)
    monkeypatch.setattr(store_module, "MIGRATIONS", {now: migrate})
    store = Store(tmp_path)
    assert loaded(store)["changes"][0]["text"] == "after"
    assert store.setting("schema") == now + 1
    store.close()

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / f'fleet.schema{now}'}")
    with engine.connect() as connection:
        text = connection.execute(sqlalchemy.text("SELECT text FROM changes")).scalar()
    engine.dispose()
    assert text == "before"


def test_an_application_of_before_simulations_is_no_simulation(tmp_path):
    row = {"id": "a", "name": "shop", "ref": "r", "target": None, "bindings": {}, "digests": {}}
    store = Store(tmp_path)
    store.commit([("store", "applications", "a", {**row, "created": 1, "simulate": True})])
    store.close()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / FILE}")
    with engine.begin() as connection:
        for statement in (
            "ALTER TABLE applications DROP COLUMN simulate",
            "UPDATE settings SET value = x'01' WHERE name = 'schema'",
        ):
            connection.execute(sqlalchemy.text(statement))
    engine.dispose()

    store = Store(tmp_path)
    assert loaded(store)["applications"] == [{**row, "created": 1, "simulate": None}]
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.commit([put(1, "before")])
    store.close()

    def migrate(connection):
        connection.execute(sqlalchemy.text("UPDATE changes SET text = 'after'"))
        connection.execute(sqlalchemy.text("UPDATE nothing SET text = 'x'"))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "MIGRATIONS", {store_module.SCHEMA: migrate})
        patch.setattr(store_module, "SCHEMA", store_module.SCHEMA + 1)
        with pytest.raises(StoreError, match="cannot open"):
            Store(tmp_path)

    store = Store(tmp_path)
    assert loaded(store)["changes"][0]["text"] == "before"
    store.close()


WRITER = """
import sys
from pathlib import Path
from fieldconf_coordinator.service.store import Store

store = Store(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    stone = {"node": "n", "until": number, "pubs": [["a", "x" * 2000]]}
    effects = [("store", "tombstones", f"n{i}", {**stone, "node": f"n{i}"}) for i in range(40)]
    store.commit(effects)
    print(number, flush=True)
"""


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)


def environment():
    folder = Path(store_module.__file__).parents[3]
    paths = [str(folder / name) for name in ("coordinator", "microagent", "dsl", "targets")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def test_a_kill_in_the_middle_of_writing_leaves_whole_batches(tmp_path):
    for commits in (1, 7, 20):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        writer = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        acknowledged = [int(writer.stdout.readline()) for _ in range(commits)][-1]
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()

        store = Store(tmp_path)
        found = {row["until"] for row in loaded(store)["tombstones"]}
        store.close()
        assert len(found) == 1
        assert found.pop() in (acknowledged, acknowledged + 1)


def test_events_of_a_path_are_those_of_it_and_below_it(store):
    paths = ["/vm", "/vm/web", "/vm/web/%", "/vm2", "/v_", ""]
    store.commit([("event", "problem", "shop", path, "", path) for path in paths])

    def found(path):
        return [one["path"] for one in store.events(path=path)]

    assert found("/vm") == ["/vm", "/vm/web", "/vm/web/%"]
    assert found("/vm/web") == ["/vm/web", "/vm/web/%"]
    assert found("/v_") == ["/v_"]
