"""The commit: files go to the table, and one entry of its log makes them a part of it, exactly once.

The entry names a transaction of an application, which Delta keeps: an application's name and a version that grows. Who
goes on behind a kill looks whether the table has it, and two that commit the same at once get in each other's way.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import PipeError, SinkError, TargetExistsError
from pipe_delta.arrival import Arrivals
from pipe_delta.column_kinds import check_moments
from pipe_delta.data_files import DataFile, Layout
from pipe_delta.options import Window
from pipe_delta.place import Place, reason_of
from pipe_delta.replacing import replaced
from pipe_delta.table_files import check_writable, schema_of

logger: Final = logging.getLogger("pipe_delta")

_TRIES: Final = 50
_LONGEST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit does.

    Attributes:
        app: What the transaction is called.
        version: Its version.
        mode: What becomes of a table that is there.
        window: Of that only this window is replaced.
        schema_mode: What may become of its columns.
        layout: The columns, and how files are written.
        files: Those that come to the table.
    """

    app: str
    version: int
    mode: Mode
    window: Window | None
    schema_mode: str | None
    layout: Layout
    files: list[DataFile]


def is_done(table: DeltaTable | None, app: str, version: int) -> bool:
    """Whether the table has the transaction already."""
    if table is None:
        return False
    found = table.transaction_version(app)
    return found is not None and found >= version


def found_table(place: Place) -> DeltaTable | None:
    """The table as it is now; None where there is none."""
    try:
        return place.table()
    except TableNotFoundError:
        return None


def commit(place: Place, plan: Plan, arrivals: Arrivals) -> None:
    """Make the files of *plan* a part of the table. Where that was done already, nothing happens.

    Raises:
        TargetExistsError: A table came into being meanwhile, and is not to be replaced.
        SinkError: It does not fit the table any more, or others commit all the time.
    """
    last: Exception | None = None
    for number in range(_TRIES):
        table = found_table(place)
        if is_done(table, plan.app, plan.version):
            return
        try:
            _commit_to(place, plan, arrivals, table)
            return
        except PipeError:
            raise
        except Exception as error:  # somebody else was faster, or nobody heard of what happened: look again
            last = error
            if not _may_pass(error):
                if _came_through(place, plan):
                    return
                raise
        time.sleep(random.random() * min(_LONGEST, 0.01 * 2**number))
    raise SinkError(
        f"The Delta table {place.name!r} cannot be written: {_TRIES} times another commit came first. "
        f"{reason_of(last) if last else ''} Write with fewer processes at a time.",
        sink=place.name,
    )


def _may_pass(error: Exception) -> bool:
    return isinstance(error, CommitFailedError) or "already exists" in str(error)


def _came_through(place: Place, plan: Plan) -> bool:
    """Whether the table has the transaction. False where that cannot be found out."""
    try:
        return is_done(found_table(place), plan.app, plan.version)
    except Exception as error:  # the store does not answer, as is told of already
        logger.warning("Whether a commit came to the Delta table %r is not known: %s", place.name, reason_of(error))
        return False


def _commit_to(place: Place, plan: Plan, arrivals: Arrivals, table: DeltaTable | None) -> None:
    if table is None:
        if plan.layout.columns.names:  # Delta has no tables without columns
            arrivals.put(plan.files)
            _create(place, plan, arrivals)
        return
    if plan.mode in ("error", "ignore"):
        raise target_exists(place)
    if plan.mode == "append" and not plan.files:
        return
    check_writable(place, table, replaces=plan.mode == "overwrite")
    check_fits(place, table, plan)
    arrivals.put(plan.files)
    if plan.mode == "append":
        _append(place, plan, arrivals, table)
    elif plan.window is None:
        _overwrite(plan, arrivals, table)
    else:
        _replace(place, plan, plan.window, arrivals, table)


def target_exists(place: Place) -> TargetExistsError:
    """There is a table already."""
    text = f"There is a Delta table at {place.name!r} already. Use mode='overwrite' or mode='append', or another path."
    return TargetExistsError(text, sink=place.name)


def check_partitions(place: Place, table: DeltaTable, partition_by: tuple[str, ...]) -> None:
    """Refuse other partitions than those of a table. Raises `SinkError`."""
    there = tuple(table.metadata().partition_columns)
    if partition_by != there:
        raise SinkError(
            f"The Delta table {place.name!r} is partitioned by {', '.join(there) or 'nothing'}, and not by "
            f"{', '.join(partition_by) or 'nothing'}. Only a new table can be partitioned otherwise.",
            sink=place.name,
        )


def check_fits(place: Place, table: DeltaTable, plan: Plan) -> None:
    """Refuse columns and partitions that a table does not have.

    Raises:
        SinkError: There are such.
    """
    check_partitions(place, table, plan.layout.partition_by)
    there, columns = schema_of(table), plan.layout.columns
    if plan.schema_mode == "overwrite" and plan.mode == "overwrite":
        check_moments(place.name, table, columns)
        return
    for field in columns:
        if field.name not in there.names:
            if plan.schema_mode != "merge":
                text = f"The Delta table {place.name!r} has no column {field.name!r}."
                raise SinkError(f"{text} With schema_mode='merge' it gets one.", sink=place.name)
            check_moments(place.name, table, pa.schema([field]))
        elif there.field(field.name).type != field.type:
            kind = there.field(field.name).type
            raise SinkError(
                f"The column {field.name!r} of the Delta table {place.name!r} is {kind}, and not {field.type}. Where "
                f"the table is new, the first records had no such value: name the type with the option types.",
                sink=place.name,
            )


# --- kinds of commits ---


def _create(place: Place, plan: Plan, arrivals: Arrivals) -> None:
    create_table_with_add_actions(
        place.target,
        Schema.from_arrow(plan.layout.columns),
        list(_additions(plan, arrivals, None)),
        mode="error",
        partition_by=list(plan.layout.partition_by),
        storage_options=dict(place.options),
        commit_properties=_properties(plan, None),
    )


def _append(place: Place, plan: Plan, arrivals: Arrivals, table: DeltaTable) -> None:
    table = _with_columns(place, plan, table)
    _write(plan, table, list(_additions(plan, arrivals, table)), "append", table.schema(), None)


def _overwrite(plan: Plan, arrivals: Arrivals, table: DeltaTable) -> None:
    there, columns = schema_of(table), plan.layout.columns
    same = plan.schema_mode is None or there.equals(columns)
    schema = table.schema() if same else Schema.from_arrow(_merged(there, columns, plan.schema_mode))
    _write(plan, table, list(_additions(plan, arrivals, table)), "overwrite", schema, 0)


def _replace(place: Place, plan: Plan, window: Window, arrivals: Arrivals, table: DeltaTable) -> None:
    table = _with_columns(place, plan, table)
    removed, rest = replaced(place, table, window, plan.layout, arrivals)
    actions: list[AddAction | RemoveAction] = [*removed, *rest, *_additions(plan, arrivals, table)]
    try:
        if actions:
            _write(plan, table, actions, "append", table.schema(), 0)
    except BaseException:
        if not is_done(found_table(place), plan.app, plan.version):
            arrivals.remove(addition.path for addition in rest)
        raise


def _merged(there: pa.Schema, columns: pa.Schema, schema_mode: str | None) -> pa.Schema:
    if schema_mode == "overwrite":
        return columns
    return pa.schema([*there, *(field for field in columns if field.name not in there.names)])


def _with_columns(place: Place, plan: Plan, table: DeltaTable) -> DeltaTable:
    """The table with columns that it lacks. They come in a commit of their own, in which nothing else changes."""
    names = schema_of(table).names
    if fields := [field for field in Schema.from_arrow(plan.layout.columns).fields if field.name not in names]:
        table.alter.add_columns(fields)
        return place.table()
    return table


def _write(
    plan: Plan,
    table: DeltaTable,
    actions: list[AddAction | RemoveAction],
    mode: str,
    schema: Schema,
    retries: int | None,
) -> None:
    properties = _properties(plan, retries)
    table.create_write_transaction(actions, mode, schema, list(plan.layout.partition_by), commit_properties=properties)


def _properties(plan: Plan, retries: int | None) -> CommitProperties:
    """What the entry of the log says. With 0 *retries* it comes right behind the version that was looked at, or not."""
    transaction = Transaction(plan.app, plan.version, int(time.time() * 1000))
    return CommitProperties(max_commit_retries=retries, app_transactions=[transaction])


def _additions(plan: Plan, arrivals: Arrivals, table: DeltaTable | None) -> Iterator[AddAction]:
    """The files as the log has them. They are read in the order of their times: behind those that are there."""
    times = None if table is None else pa.table(table.get_add_actions()).column("modification_time")
    newest = 0 if times is None else pc.max(times).as_py() or 0
    begin = max(int(time.time() * 1000), newest + 1)
    for number, file in enumerate(plan.files):
        yield AddAction(file.path, file.bytes, file.partition, begin + number, True, arrivals.statistics(file))
