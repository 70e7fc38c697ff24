import contextlib
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipe_core.testing.formats import FormatConformance


class TestSql(FormatConformance):
    format = "sql"
    suffix = ".sqlite"
    options: ClassVar[dict[str, Any]] = {"table": "records"}

    def content(self, path: Path) -> Any:
        """The rows."""
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return tuple(connection.execute("SELECT * FROM records"))

    def occupy(self, path: Path) -> None:
        """A table with a row."""
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE records (id TEXT, text TEXT, empty TEXT)")
            connection.execute("INSERT INTO records VALUES ('old', 'precious', '')")

    @pytest.mark.xfail(reason="rows wait in the same file, which is there before them: see test_sql_staged.py")
    def test_nothing_is_visible_before_a_final_state_is_committed(self, tmp_path: Path) -> None:
        super().test_nothing_is_visible_before_a_final_state_is_committed(tmp_path)

    @pytest.mark.xfail(reason="a table needs columns, so one without records is not made")
    def test_an_output_without_records_can_be_read(self, tmp_path: Path) -> None:
        super().test_an_output_without_records_can_be_read(tmp_path)
