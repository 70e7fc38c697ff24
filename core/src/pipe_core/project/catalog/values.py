"""What a value consists of: records, or a table of Arrow, or neither."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from pipe_core.kernel.errors import PluginDependencyError

BATCH: Final = 1000
"""Records that are written together."""


def is_table(value: Any) -> bool:
    """Whether *value* can be handed over as Arrow data: tables and frames of Arrow, pandas, Polars and others."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def is_arrow_schema(schema: Any) -> bool:
    """Whether *schema* is one of Arrow, without an import of it."""
    return type(schema).__module__.partition(".")[0] == "pyarrow"


def is_records(value: Any) -> bool:
    """Whether *value* is something with one record after the other."""
    return isinstance(value, Iterable) and not isinstance(value, Mapping | BaseModel | str | bytes | bytearray)


def table_of(value: Any) -> Any:
    """*value* as a `pyarrow.Table`. Raises `PluginDependencyError` where pyarrow is not installed."""
    arrow = installed("pyarrow")
    if isinstance(value, arrow.Table):
        table = value
    elif hasattr(value, "__arrow_c_stream__"):
        table = arrow.table(value)
    else:
        table = arrow.Table.from_batches([arrow.record_batch(value)])
    return _without_views(arrow, table)


def _without_views(arrow: Any, table: Any) -> Any:
    """The same with plain text and bytes in place of views of them, with which Arrow itself can do little."""
    if not hasattr(arrow, "string_view"):  # an old pyarrow, which has none
        return table
    views = {arrow.string_view(): arrow.string(), arrow.binary_view(): arrow.binary()}
    for i, field in enumerate(table.schema):
        if field.type in views:
            plain = arrow.field(field.name, views[field.type])
            table = table.set_column(i, plain, table.column(i).cast(plain.type))
    return table


def records_in(value: Any) -> Iterator[Any]:
    """The records of *value*, one by one. Models become what they hold; what was given stays as it is."""
    if is_table(value):
        for batch in table_of(value).to_batches(BATCH):
            yield from batch.to_pylist()
        return
    for record in value:
        yield plain(record)


def plain(record: Any) -> Any:
    """A record as a dictionary, where it is a model."""
    if isinstance(record, BaseModel):
        return record.model_dump()
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return TypeAdapter(type(record)).dump_python(record)
    return record


def grouped(records: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """The same in lists of *size*."""
    left = iter(records)
    while group := list(islice(left, size)):
        yield group


def installed(module: str) -> ModuleType:
    """A module that core does without. Raises `PluginDependencyError` where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise PluginDependencyError(
            f"That needs the module '{module}', which is not installed. Install it: pip install {module}",
            family="formats",
            name="catalog",
            distribution=None,
            missing=module,
        ) from error
