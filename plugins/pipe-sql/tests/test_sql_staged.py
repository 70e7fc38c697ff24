"""Rows that wait in the database are committed once, by whichever process, wherever the one before was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipe_core import SinkError, TargetExistsError, get_format
from pipe_core.kernel.contracts import ResumableSink
from pipe_core.testing.formatting.ground import PlainSerializer
from pipe_sql import waiting

CASES = [
    ("sqlite", "error", False, False),
    ("sqlite", "overwrite", True, False),
    ("sqlite", "append", True, False),
    ("postgres", "append", True, False),
    ("postgres", "overwrite", True, True),
]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")
@pytest.mark.parametrize(("kind", "mode", "before", "between"), CASES)
def test_a_killed_run_is_gone_on_with_from_every_statement(
    kind: str, mode: str, before: bool, between: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = request.getfixturevalue(kind)
    script = str(Path(__file__).with_name("kill_statements.py"))
    (tmp_path / "notes").mkdir()
    case = json.dumps([database.url, str(tmp_path / "notes" / "notes"), mode, before, between])
    done = subprocess.run([sys.executable, script, case], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


def sink_of(database: Any, table: str = "sales", dates: Any = None, **options: Any) -> Any:
    sink = get_format("sql", table=table, **options).sink(database.url)
    assert isinstance(sink, ResumableSink)
    if dates is not None:
        sink.replace_between("day", *dates)
    sink.expect_checkpoints()
    return sink


def put(sink: Any, *records: Any) -> None:
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    rows = [row(record if isinstance(record, dict) else {"n": record}) for record in records]
    sink.write(encoder.join(rows), len(rows))


def put_and_checkpoint(sink: Any, *records: Any) -> Any:
    put(sink, *records)
    return sink.checkpoint()


def staged(database: Any, *records: Any, mode: str = "overwrite", final: bool = True, **how: Any) -> Any:
    sink = sink_of(database, **how)
    sink.open(mode)
    put(sink, *records)
    state = json.loads(json.dumps(sink.checkpoint(final)))
    sink.close()
    return state


def resumed(database: Any, state: Any, mode: str = "overwrite", **how: Any) -> Any:
    sink = sink_of(database, **how)
    sink.resume(state, mode)
    return sink


def settled(database: Any, state: Any, mode: str = "overwrite", **how: Any) -> None:
    sink = resumed(database, state, mode, **how)
    sink.commit()
    sink.close()


def tables(database: Any) -> set[str]:
    if database.dialect == "sqlite":
        return {name for (name,) in database.run("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {name for (name,) in database.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


# --- once ---


def test_nothing_is_visible_before_it_is_committed(database: Any) -> None:
    state = staged(database, 1, mode="error")
    assert "sales" not in tables(database)
    for _ in range(3):
        settled(database, state, "error")
        assert database.run("SELECT n FROM sales") == [(1,)]
    assert tables(database) == {"sales", "_pipe_commits"}


def test_what_was_committed_is_known_also_when_others_have_written_since(database: Any) -> None:
    first = staged(database, 1)
    settled(database, first)
    settled(database, staged(database, 2))
    settled(database, first)
    assert database.run("SELECT n FROM sales") == [(2,)]
    settled(database, first, "append")
    assert database.run("SELECT n FROM sales") == [(2,)]


def test_small_batches_leave_nothing_behind_but_some_notes(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "NOTES_KEPT", 3)
    states = []
    for number in range(6):
        sink = sink_of(database)
        sink.open("append")
        put(sink, number)
        states.append(sink.checkpoint(final=True))
        sink.commit()
        sink.close()
    assert tables(database) == {"sales", "_pipe_commits"}
    assert database.run("SELECT count(*) FROM _pipe_commits") == [(3,)]
    for state in states[3:]:
        settled(database, state, "append")
    with pytest.raises(SinkError, match="are gone"):
        settled(database, states[0], "append")
    assert sorted(database.run("SELECT n FROM sales")) == [(number,) for number in range(6)]


def test_one_who_was_taken_for_dead_commits_nothing_twice(database: Any) -> None:
    slow = sink_of(database)
    slow.open("append")
    put(slow, 1)
    settled(database, slow.checkpoint(final=True), "append")
    slow.commit()
    slow.close()
    assert database.run("SELECT n FROM sales") == [(1,)]


def test_one_who_was_taken_for_dead_does_not_write_behind_another(database: Any) -> None:
    slow = sink_of(database)
    slow.open("append")
    put(slow, 1)
    state = slow.checkpoint()
    other = resumed(database, state, "append")
    put(other, 2)
    other.checkpoint()
    with pytest.raises(SinkError, match="another process has gone on"):
        put_and_checkpoint(slow, 3)
    slow.abort()
    settled(database, other.checkpoint(final=True), "append")
    other.close()
    assert sorted(database.run("SELECT n FROM sales")) == [(1,), (2,)]


def test_one_who_was_taken_for_dead_does_not_commit_what_another_has_gone_on_with(database: Any) -> None:
    slow = sink_of(database)
    slow.open("append")
    state = put_and_checkpoint(slow, 1)
    other = resumed(database, state, "append")
    put_and_checkpoint(other, 2)
    slow.checkpoint(final=True)
    with pytest.raises(SinkError, match="another process has gone on"):
        slow.commit()
    slow.abort()
    slower = sink_of(database)
    slower.open("append")
    put_and_checkpoint(slower, 1)
    slower.abort()
    other.commit()
    other.close()
    assert sorted(database.run("SELECT n FROM sales")) == [(1,), (2,)]


# --- between checkpoints ---


def test_what_came_behind_a_checkpoint_is_cut_off(database: Any) -> None:
    """Also where it was brought to stable storage by a later one that nobody has noted."""
    sink = sink_of(database)
    sink.open("error")
    put(sink, {"n": 1, "late": None})
    state = sink.checkpoint()
    put(sink, {"n": 2, "late": 5, "later": "x"})
    sink.checkpoint()
    put(sink, {"n": 3, "late": None})
    sink.close()
    sink = resumed(database, state, "error")
    put(sink, {"n": 4, "late": "text"})
    sink.commit()
    sink.close()
    assert database.run("SELECT * FROM sales ORDER BY n") == [(1, None), (4, "text")]
    assert tables(database) <= {"sales", "_pipe_commits"}


def test_rows_with_other_fields_get_the_defaults_of_the_table(database: Any) -> None:
    number = "INTEGER PRIMARY KEY AUTOINCREMENT" if database.dialect == "sqlite" else "SERIAL PRIMARY KEY"
    database.run(f"CREATE TABLE sales (id {number}, n INTEGER, word TEXT NOT NULL DEFAULT 'none')")
    sink = sink_of(database)
    sink.open("error")
    put(sink, {"n": 1}, {"n": 2, "word": "x"}, {"n": 3}, {"n": 4})
    state = sink.checkpoint()
    put(sink, {"word": "y", "n": 5})
    sink.close()
    sink = resumed(database, state, "error")
    put(sink, {"word": "z", "n": 6})
    sink.commit()
    sink.close()
    found = database.run("SELECT n, word FROM sales ORDER BY id")
    assert found == [(1, "none"), (2, "x"), (3, "none"), (4, "none"), (6, "z")]


def test_a_sink_that_appends_goes_on_behind_its_commits(database: Any) -> None:
    sink = sink_of(database)
    sink.open("append")
    for number in range(3):
        put(sink, number)
        state = sink.checkpoint()
        sink.commit()
    sink.close()
    assert sorted(database.run("SELECT n FROM sales")) == [(0,), (1,), (2,)]
    with pytest.raises(SinkError, match="are gone"):
        resumed(database, state, "append")


@pytest.mark.parametrize(("how", "expected"), [("ignore", "first"), ("update", "last")])
def test_conflicts_are_settled_in_the_order_of_the_rows(database: Any, how: str, expected: str) -> None:
    database.run("CREATE TABLE sales (n INTEGER PRIMARY KEY, word TEXT)", "INSERT INTO sales VALUES (9, 'old')")
    sink = sink_of(database, on_conflict=how)
    sink.open("append")
    put(sink, {"n": 1, "word": "first"}, {"n": 1, "word": "second"}, {"n": 9, "word": "last"})
    state = sink.checkpoint()
    sink.close()
    sink = resumed(database, state, "append", on_conflict=how)
    put(sink, {"n": 1, "word": "last"})
    state = sink.checkpoint(final=True)
    sink.close()
    settled(database, state, "append", on_conflict=how)
    assert database.run("SELECT word FROM sales ORDER BY n") == [(expected,), ("old" if how == "ignore" else "last",)]


def test_a_rule_of_the_table_takes_all_of_them_back(database: Any) -> None:
    database.run("CREATE TABLE sales (n INTEGER PRIMARY KEY CHECK (n < 50))")
    state = staged(database, 1, 2, mode="append")
    database.run("SELECT 1", "INSERT INTO sales VALUES (2)")
    for _ in range(2):
        with pytest.raises(SinkError, match="refuses one of the rows"):
            settled(database, state, "append")
    assert database.run("SELECT n FROM sales") == [(2,)]
    database.run("SELECT 1", "DELETE FROM sales")
    settled(database, state, "append")
    assert database.run("SELECT n FROM sales ORDER BY n") == [(1,), (2,)]
    with pytest.raises(SinkError, match="refuses row 2 of those"):
        staged(database, 3, 50, mode="append")


# --- the end of it ---


@pytest.mark.parametrize("final", [True, False])
def test_what_waits_can_be_removed(database: Any, final: bool, tmp_path: Path) -> None:
    database.run("CREATE TABLE sales (n INTEGER)", "INSERT INTO sales VALUES (7)")
    state = staged(database, 1, 2, final=final)
    sink = resumed(database, state)
    place = sink.abort(keep=True)
    sink.close()
    assert database.run("SELECT n FROM sales") == [(7,)]
    assert tables(database) == {"sales"}
    assert (place is not None) == (database.dialect == "sqlite")
    if place is not None:
        assert type(database)(Path(place)).run("SELECT n FROM sales ORDER BY n") == [(1,), (2,)]
    with pytest.raises(SinkError, match="are gone"):
        resumed(database, state)


def test_two_that_append_do_not_hinder_each_other(database: Any) -> None:
    states = [staged(database, number, mode="append") for number in (1, 2)]
    for state in [*states, *states]:
        settled(database, state, "append")
    assert sorted(database.run("SELECT n FROM sales")) == [(1,), (2,)]


DAY, NEXT, BOTH = ("2025-01-01", "2025-01-02"), ("2025-01-02", "2025-01-03"), ("2025-01-01", "2025-01-03")


@pytest.mark.parametrize(
    ("waits", "comes", "superseded"),
    [
        ({"mode": "overwrite"}, {"mode": "overwrite"}, True),
        ({"mode": "overwrite"}, {"mode": "append"}, True),
        ({"mode": "overwrite"}, {"mode": "overwrite", "dates": DAY}, True),
        ({"mode": "append"}, {"mode": "overwrite"}, True),
        ({"mode": "append"}, {"mode": "overwrite", "dates": DAY}, False),
        ({"mode": "overwrite", "dates": DAY}, {"mode": "overwrite"}, True),
        ({"mode": "overwrite", "dates": DAY}, {"mode": "overwrite", "dates": DAY}, True),
        ({"mode": "overwrite", "dates": DAY}, {"mode": "overwrite", "dates": NEXT}, False),
        ({"mode": "overwrite", "dates": DAY}, {"mode": "append"}, False),
    ],
)
@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_later_run_supersedes_what_would_replace_its_rows(
    database: Any, waits: Any, comes: Any, superseded: bool, checkpoints: bool
) -> None:
    database.run("CREATE TABLE sales (n INTEGER, day DATE)")
    state = staged(database, {"n": 1, "day": "2025-01-01"}, **waits)
    if checkpoints:
        settled(database, staged(database, {"n": 2, "day": "2025-01-02"}, **comes), comes["mode"])
    else:
        sink = get_format("sql", table="sales").sink(database.url)
        if "dates" in comes:
            sink.replace_between("day", *comes["dates"])
        sink.open(comes["mode"])
        put(sink, {"n": 2, "day": "2025-01-02"})
        sink.commit()
        sink.close()
    if superseded:
        with pytest.raises(SinkError, match="are gone"):
            settled(database, state, waits["mode"])
        assert database.run("SELECT n FROM sales") == [(2,)]
    else:
        settled(database, state, waits["mode"])
        assert sorted(database.run("SELECT n FROM sales")) == [(1,), (2,)]
    assert not [name for name in tables(database) if "staged" in name]


def test_rows_that_came_meanwhile_are_not_replaced_where_that_is_an_error(database: Any) -> None:
    database.run("CREATE TABLE sales (n INTEGER)")
    states = [staged(database, 1, mode="error", final=final) for final in (True, False)]
    database.run("SELECT 1", "INSERT INTO sales VALUES (7)")
    for state in states:
        with pytest.raises(TargetExistsError):
            settled(database, state, "error")
    assert database.run("SELECT n FROM sales") == [(7,)]


def test_another_table_is_not_concerned(database: Any) -> None:
    state = staged(database, 1, table="one")
    settled(database, staged(database, 2, table="two"), table="two")
    settled(database, state, table="one")
    assert database.run("SELECT n FROM one") == [(1,)]
    for final in (True, False):
        with pytest.raises(SinkError, match="another table"):
            settled(database, {**state, "final": final}, table="two")


NAMES = ["sqlite_master", "sales", "_pipe_staged_0123456789ab_whole_0123456789ab", 'x"; DROP TABLE s', None]


@pytest.mark.parametrize("name", NAMES)
def test_a_state_leads_to_no_other_table(name: Any, sqlite: Any) -> None:
    state = staged(sqlite, 1)
    for wrong in ({**state, "staged": name}, {**state, "staged": name, "final": False}, {}, {"staged": name}):
        with pytest.raises(SinkError, match="damaged"):
            settled(sqlite, wrong)
    settled(sqlite, state)
    assert sqlite.run("SELECT n FROM sales") == [(1,)]


# --- PostgreSQL ---


def test_rows_that_were_sent_to_their_table_have_no_checkpoints(postgres: Any) -> None:
    """Nobody expected any; or nobody may make a table."""
    sink = get_format("sql", table="sales").sink(postgres.url)
    sink.open("append")
    put(sink, 1)
    assert not sink.resumable
    with pytest.raises(SinkError, match="expect_checkpoints before open"):
        sink.checkpoint(final=True)
    sink.commit()
    sink.close()
    assert postgres.run("SELECT n FROM sales") == [(1,)]


def test_tables_of_a_schema_wait_in_it(postgres: Any) -> None:
    postgres.run('CREATE SCHEMA "a %"', "CREATE TABLE sales (n INTEGER)")
    how = {"db_schema": "a %"}
    settled(postgres, staged(postgres, 1, **how), **how)
    settled(postgres, staged(postgres, 2, **how), **how)
    assert postgres.run('SELECT n FROM "a %".sales') == [(2,)]
    assert tables(postgres) == {"sales"}
    assert {name for (name,) in postgres.run("SELECT tablename FROM pg_tables WHERE schemaname = 'a %'")} == {
        "sales",
        "_pipe_commits",
    }


def test_types_are_kept_on_the_way(postgres: Any) -> None:
    postgres.run("CREATE TABLE sales (n SMALLINT, v JSONB, day DATE, amount NUMERIC(6, 2), words TEXT[])")
    record = {"n": 1, "v": {"a": [1, None]}, "day": "2025-01-01", "amount": "1.50", "words": ["x", "y"]}
    settled(postgres, staged(postgres, record))
    ((n, v, day, amount, words),) = postgres.run("SELECT * FROM sales")
    assert (n, v, str(day), str(amount), words) == (1, {"a": [1, None]}, "2025-01-01", "1.50", ["x", "y"])
