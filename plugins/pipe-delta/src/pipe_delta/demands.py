"""What a table asks of records: found out before the first one is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from pipe_core.kernel.contracts import Mode
from pipe_core.kernel.errors import OptionsError, SinkError
from pipe_delta.data_files import OWN
from pipe_delta.options import DeltaOptions
from pipe_delta.place import Place
from pipe_delta.rules import Rules
from pipe_delta.table_files import check_writable, schema_of
from pipe_delta.transaction import check_partitions, found_table, target_exists


@dataclass(frozen=True, slots=True)
class Demands:
    """What a table asks for.

    Attributes:
        fixed: Types of columns that are known.
        partition_by: Columns whose values make partitions.
        rules: What workers look for in a record.
    """

    fixed: Mapping[str, pa.DataType]
    partition_by: tuple[str, ...]
    rules: Rules


def new_table(options: DeltaOptions, given: Mapping[str, pa.DataType]) -> Demands:
    """What is asked for where no table is yet."""
    return Demands(given, options.partition_by, Rules(options.partition_by, window=options.window))


def demands(place: Place, options: DeltaOptions, given: Mapping[str, pa.DataType], mode: Mode) -> Demands:
    """What the table at *place* asks for.

    Raises:
        TargetExistsError: There is one, and *mode* is ``error`` or ``ignore``.
        SinkError: It cannot be written.
        OptionsError: It has other columns than the options say.
    """
    table = found_table(place)
    if table is None:
        _check_folder(place)
        return new_table(options, given)
    if mode in ("error", "ignore"):
        raise target_exists(place)
    check_writable(place, table, replaces=mode == "overwrite")
    if options.partition_by:
        check_partitions(place, table, options.partition_by)
    return _of_table(place, table, options, given, mode)


def _of_table(
    place: Place, table: DeltaTable, options: DeltaOptions, given: Mapping[str, pa.DataType], mode: Mode
) -> Demands:
    partition_by = tuple(table.metadata().partition_columns)
    if options.schema_mode == "overwrite" and mode == "overwrite":
        return Demands(given, partition_by, Rules(partition_by, window=options.window))
    there = schema_of(table)
    for name, kind in given.items():
        if name in there.names and there.field(name).type != kind:
            raise OptionsError(
                f"types has {kind} for the column {name!r}, which is {there.field(name).type} in the Delta table "
                f"{place.name!r}. Leave it out.",
                problems={"types": f"the column {name!r} has another type"},
            )
    fixed = {**{field.name: field.type for field in there}, **given}
    known = None if options.schema_mode == "merge" else frozenset(there.names)
    required = tuple(field.name for field in there if not field.nullable)
    return Demands(fixed, partition_by, Rules(partition_by, known, required, options.window))


def check_fields(place: Place, rules: Rules, fields: Sequence[str] | None) -> None:
    """Refuse records of which no one would fit.

    Raises:
        SinkError: A field has no column.
    """
    try:
        rules.check_names(fields or ())
    except ValueError as error:
        raise SinkError(f"The Delta table {place.name!r} cannot be written: {error}.", sink=place.name) from None


def _check_folder(place: Place) -> None:
    if not place.is_local or not os.path.lexists(place.target):
        return
    if not os.path.isdir(place.target):
        raise SinkError(f"{place.name!r} is a file, and a Delta table is a folder. Name another.", sink=place.name)
    if _others(place.target):
        text = f"{place.name!r} is a folder with something else in it, and no Delta table. Name another, or empty it."
        raise SinkError(text, sink=place.name)


def _others(folder: str) -> bool:
    """Whether there is something that no killed run has brought there for a commit that never came."""
    return any(not OWN.fullmatch(name) for _, _, names in os.walk(folder) for name in names)
