"""A table as a sink: records wait beside it, and each commit is one entry of its log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, Literal

import pyarrow as pa
from deltalake import Schema

from pipe_core.formats.staging import known_states
from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import SinkError
from pipe_delta.collecting import Collecting
from pipe_delta.data_files import DataFile, Layout
from pipe_delta.demands import check_fields, demands, new_table
from pipe_delta.encoder import DeltaEncoder
from pipe_delta.options import DeltaOptions, with_window
from pipe_delta.place import Place
from pipe_delta.staging import Staging, beside, files_in, remove_staged
from pipe_delta.transaction import Plan, commit, found_table, is_done

Ready = tuple[Layout, list[DataFile]]
"""Files that wait for their commit, and how they are written."""


class DeltaSink:
    """Records into a table, all of them at the commit, exactly once.

    Args:
        place: Where it is.
        options: How.
        fixed: Types of columns that were given.
    """

    def __init__(self, place: Place, options: DeltaOptions, fixed: Mapping[str, pa.DataType]) -> None:
        self._place = place
        self._options = options
        self._fixed = fixed
        self._asked = new_table(options, fixed)
        self._mode: Mode = "error"
        self._fields: Sequence[str] | None = None
        self._staging: Staging | None = None
        self._collecting: Collecting | None = None
        self._ready: Ready | None = None
        self._app = f"pipe-{secrets.token_hex(16)}"
        self._version = 1
        self._kept = self._final = self._complete = self._tried = False

    @property
    def name(self) -> str:
        """The path; the URL without secrets."""
        return self._place.name

    @property
    def delivery(self) -> Literal["exactly-once", "at-least-once"]:
        """Exactly once: a commit is one entry in the log of the table, and the table knows which were made."""
        return "exactly-once"

    def exists(self) -> bool:
        """Whether there is a table already."""
        with self._place.writing():
            return self._place.exists()

    def encoder(self) -> DeltaEncoder:
        """What workers need to make rows."""
        return DeltaEncoder(self._asked.fixed, self._asked.rules)

    def replace_between(self, column: str, start: str, upper: str) -> None:
        """Before `open`: ``overwrite`` replaces only the rows of some dates, in the entry of the log that adds others.

        Args:
            column: The column with the dates.
            start: The first date or time, as ISO 8601.
            upper: That before which they are.

        Raises:
            OptionsError: These are no dates, or not in order; or the columns are to be replaced.
        """
        self._options = with_window(self._options, {"column": column, "start": start, "before": upper})

    def open(self, mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Begin. Raises `TargetExistsError` for ``error`` and ``ignore``, and `SinkError` when it cannot be written."""
        with self._place.writing():
            self._look(mode, fields)
            check_fields(self._place, self._asked.rules, fields)
            self._staging = Staging(self._place, self._beside)
            self._collect(self._staging, 0)

    def write(self, payload: list[dict[str, Any]] | bytes, count: int) -> None:
        """Take the next rows."""
        collecting = self._collected()
        with self._place.writing():
            for table in self.encoder().tables(payload):
                collecting.add(table)

    def write_table(self, table: Any) -> None:
        """Take rows as a table of Arrow, or what hands itself over as one. Their types become those of Delta.

        Raises:
            SinkError: They do not fit the table, or those before.
        """
        collecting = self._collected()
        with self._place.writing():
            collecting.add_whole(table if isinstance(table, pa.Table) else pa.table(table))

    def checkpoint(self, final: bool = False) -> Mapping[str, Any]:
        """Make durable what was written, where it is hidden. The state with which `resume` goes on, in any process.

        Who appends commits final states only: of others nobody can tell what came to the table.
        """
        staging, collecting = self._began(), self._collected()
        with self._place.writing():
            staging.spill.end()
            layout, files = self._prepared(staging) if final else (None, [])
            state = {
                "folder": staging.name,
                "app": self._app,
                "version": self._version,
                "records": staging.keep([] if final else staging.spill.names),
                "count": collecting.count,
                "files": [list(astuple(file)) for file in files],
                "schema": Schema.from_arrow(layout.columns).to_json() if layout and layout.columns.names else None,
                "partition_by": list(self._asked.partition_by),
                "window": self._options.window and self._options.window.model_dump(),
                "final": final,
            }
            self._kept, self._final = True, final
            return state

    def resume(self, state: Mapping[str, Any], mode: Mode, fields: Sequence[str] | None = None) -> None:
        """Go on at *state*, which `checkpoint` gave. What was written behind it is removed.

        Raises:
            TargetExistsError: For ``error`` and ``ignore``: a table came into being meanwhile.
            SinkError: What was written is gone, or was committed, or the run that wrote it goes on.
        """
        with self._place.writing(), known_states(self.name):
            self._app, self._version, self._final = state["app"], state["version"], state["final"]
            self._options = with_window(self._options, state["window"])
            if is_done(found_table(self._place), self._app, self._version):
                if not self._final:
                    text = f"What was staged for {self.name!r} was committed, with what came behind that checkpoint."
                    raise SinkError(f"{text} Start a new run.", sink=self.name)
                self._complete = True
                remove_staged(self._beside, state)
                return
            self._look(mode, fields)
            self._staging = Staging(self._place, self._beside, state)
            self._kept = True
            self._collect(self._staging, state["count"])
            if self._final:
                self._ready = self._layout(state), files_in(state)
                self._tried = True  # by the process that was killed

    def commit(self) -> None:
        """Make the records visible, all at once. What was committed already is left alone."""
        staging = self._staging
        if staging is None or self._complete:
            return
        with self._place.writing():
            plan = self._plan(self._prepared(staging))
            self._tried = True
            commit(self._place, plan, staging.arrivals)
            self._tried, self._ready = False, None
            self._version += 1
            if self._mode == "append" and not self._final:
                staging.forget()
                staging.spill.clear()
                self._kept = False
                return
            self._complete = True
            if self._mode != "append" and self._options.window is None:
                staging.supersede()
            self._remove()

    def abort(self, keep: bool = False) -> str | None:
        """Leave the table as it was; with *keep*, what was written is at the place returned, in Parquet files."""
        staging = self._staging
        if staging is None:
            return None
        try:
            with self._place.writing():
                self._take_back(staging)
                return staging.partial(self._prepared(staging)[1]) if keep and not self._complete else None
        finally:
            self._remove()

    def close(self) -> None:
        """What was neither checkpointed nor committed is aborted."""
        if not self._kept or self._complete:
            self.abort()
            return
        staging, self._staging = self._staging, None
        if staging is not None:
            staging.release()

    # --- beginning ---

    @property
    def _beside(self) -> str:
        return beside(self._place, self._options.staging)

    def _look(self, mode: Mode, fields: Sequence[str] | None) -> None:
        self._mode, self._fields = mode, fields
        self._asked = demands(self._place, self._options, self._fixed, mode)

    def _collect(self, staging: Staging, count: int) -> None:
        self._collecting = Collecting(self.name, staging.spill, self._asked, self._fields, count)

    def _began(self) -> Staging:
        if self._staging is None or self._complete:
            raise SinkError(f"{self.name!r} is not open for writing.", sink=self.name)
        return self._staging

    def _collected(self) -> Collecting:
        self._began()
        if self._final:
            text = f"{self.name!r} has been brought to its end. Nothing is written behind that."
            raise SinkError(text, sink=self.name)
        assert self._collecting is not None  # it was begun
        return self._collecting

    # --- the end ---

    def _prepared(self, staging: Staging) -> Ready:
        """The records in the files that the table gets."""
        if self._ready is None:
            assert self._collecting is not None  # it was begun
            self._ready = self._collecting.files(self._options, staging.arrivals.folder)
        return self._ready

    def _layout(self, state: Mapping[str, Any]) -> Layout:
        columns = pa.schema([])
        if state["schema"] is not None:
            columns = pa.schema(Schema.from_json(state["schema"]).to_arrow())
        options = self._options
        return Layout(columns, tuple(state["partition_by"]), options.part_size, options.compression)

    def _plan(self, ready: Ready) -> Plan:
        layout, files = ready
        return Plan(
            self._app, self._version, self._mode, self._options.window, self._options.schema_mode, layout, files
        )

    def _take_back(self, staging: Staging) -> None:
        """Take files away from the table that a commit has brought there and did not come to its end with."""
        if self._tried and self._ready and not is_done(found_table(self._place), self._app, self._version):
            staging.arrivals.take_back(self._ready[1])

    def _remove(self) -> None:
        staging, self._staging = self._staging, None
        if staging is not None:
            staging.discard()
