"""Rows that wait in SQLite are committed once, by whichever process, wherever the one before was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipe_core import SinkError, get_format
from pipe_core.testing.formatting.ground import PlainSerializer


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")
@pytest.mark.parametrize(
    ("mode", "before", "between"),
    [("error", False, False), ("overwrite", True, False), ("append", True, False), ("overwrite", True, True)],
)
def test_a_killed_run_is_gone_on_with_from_every_statement(
    mode: str, before: bool, between: bool, tmp_path: Path
) -> None:
    script = str(Path(__file__).with_name("kill_statements.py"))
    command = [sys.executable, script, str(tmp_path), json.dumps([mode, before, between])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


def sink_of(sqlite: Any, table: str = "sales") -> Any:
    return get_format("sql", table=table).sink(sqlite.url)


def staged(sqlite: Any, *numbers: int, mode: str = "overwrite", table: str = "sales") -> Any:
    sink = sink_of(sqlite, table)
    sink.open(mode)
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(("n",)))
    sink.write(encoder.join([row({"n": number}) for number in numbers]), len(numbers))
    state = json.loads(json.dumps(sink.checkpoint(final=True)))
    sink.close()
    return state


def settled(sqlite: Any, state: Any, mode: str = "overwrite", table: str = "sales") -> None:
    sink = sink_of(sqlite, table)
    sink.resume(state, mode)
    sink.commit()
    sink.close()


def test_what_was_committed_is_known_also_when_others_have_written_since(sqlite: Any) -> None:
    first = staged(sqlite, 1)
    settled(sqlite, first)
    settled(sqlite, staged(sqlite, 2))
    settled(sqlite, first)
    assert sqlite.run("SELECT n FROM sales") == [(2,)]
    settled(sqlite, first, "append")
    assert sqlite.run("SELECT n FROM sales") == [(2,)]


def test_two_that_append_do_not_hinder_each_other(sqlite: Any) -> None:
    states = [staged(sqlite, number, mode="append") for number in (1, 2)]
    for state in [*states, *states]:
        settled(sqlite, state, "append")
    assert sorted(sqlite.run("SELECT n FROM sales")) == [(1,), (2,)]


def test_another_table_is_not_concerned(sqlite: Any) -> None:
    state = staged(sqlite, 1, table="one")
    settled(sqlite, staged(sqlite, 2, table="two"), table="two")
    settled(sqlite, state, table="one")
    assert sqlite.run("SELECT n FROM one") == [(1,)]
    with pytest.raises(SinkError, match="another table"):
        settled(sqlite, state, table="two")


def test_a_rule_of_the_table_takes_all_of_them_back(sqlite: Any) -> None:
    sqlite.run("CREATE TABLE sales (n INTEGER PRIMARY KEY)")
    state = staged(sqlite, 1, 2, mode="append")
    sqlite.run("INSERT INTO sales VALUES (2)")
    for _ in range(2):
        with pytest.raises(SinkError, match="refuses"):
            settled(sqlite, state, "append")
    assert sqlite.run("SELECT n FROM sales") == [(2,)]
    sqlite.run("DELETE FROM sales")
    settled(sqlite, state, "append")
    assert sqlite.run("SELECT n FROM sales") == [(1,), (2,)]


def test_nothing_else_has_checkpoints(sqlite: Any) -> None:
    sink = sink_of(sqlite)
    sink.open("overwrite")
    with pytest.raises(SinkError, match="before its end"):
        sink.checkpoint()
    sink.close()
    other = get_format("sql", table="sales").sink("postgresql://somewhere/shop")
    assert not other.resumable


NAMES = ["sqlite_master", "sales", "_pipe_staged_0123456789ab_0123456789ab", 'x"; DROP TABLE s']


@pytest.mark.parametrize("name", NAMES)
def test_a_state_leads_to_no_other_table(name: str, sqlite: Any) -> None:
    state = staged(sqlite, 1)
    with pytest.raises(SinkError, match="damaged"):
        settled(sqlite, {**state, "staged": name})
