"""Results that a resumed run needs exactly as they were, where the place that they are stored at does not keep that.

A node hands its result over in memory, while what it stores may come back otherwise: all values of a CSV file are
texts. A run that is resumed must not differ from one that was never stopped, so such a result is kept beside its
receipt, until the run has completed.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.caching.entries import DamagedEntryError, Entries, ForeignEntryError, UnwritableError
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.places import format_name

if TYPE_CHECKING:
    from pipe_core.project.catalog import Catalog
    from pipe_core.project.runs.folder import ProjectRunFolder

_PLAIN: Final = (str, int, bool, type(None))
_TABLES: Final = ("parquet", "feather")


def keep_result(folder: ProjectRunFolder, node: str, result: Any, catalog: Catalog) -> None:
    """Keep the *result* of a node. One that neither codec nor format can write is not kept: it will be loaded.

    Objects of classes that are schemas of data sets of the *catalog* can be written.
    """
    try:
        data = Entries(_classes(catalog)).seal(_signature(folder, node), result)
    except UnwritableError:
        return
    folder.keep_value(node, data)


def kept_result(folder: ProjectRunFolder, node: str, catalog: Catalog) -> Any:
    """The result of a node that was kept.

    Raises:
        LookupError: None was, or it cannot be read here.
    """
    data = folder.kept_value(node)
    if data is None:
        raise LookupError(node)
    try:
        return Entries(_classes(catalog)).open(_signature(folder, node), data)
    except (DamagedEntryError, ForeignEntryError) as error:
        raise LookupError(node) from error


def gives_back(catalog: Catalog, name: str, value: Any) -> bool:
    """Whether loading the data set *name*, just saved, gives the very *value* that was saved."""
    config = catalog.dataset(name)
    if config.mode == "append" or config.partition_by or config.date_column or config.record_schema is not None:
        return False
    kind = config.format or format_name(config.path)
    if kind == "pickle":
        return True
    if config.load_as in (None, "records", "value") and kind in ("json", "jsonl"):
        return (kind == "json" or _is_rows(value)) and is_json(value)
    is_table = f"{type(value).__module__}.{type(value).__qualname__}" == "pyarrow.lib.Table"
    return is_table and kind in _TABLES and config.load_as in (None, "arrow")


def _classes(catalog: Catalog) -> list[type]:
    """The schemas whose objects entries know how to write, in an order that every process finds."""
    found: dict[type, None] = {}
    for name in sorted(catalog.names):
        kind = catalog.dataset(name).record_schema
        if isinstance(kind, type) and kind not in found:
            with suppress(OptionsError):  # what it is made of cannot be written
                Entries([kind])
                found[kind] = None
    return list(found)


def _is_rows(value: Any) -> bool:
    return type(value) is list and all(type(row) is dict and row for row in value)


def is_json(value: Any) -> bool:
    """Whether JSON gives *value* back as it is, with the types of all that is in it."""
    if type(value) is dict:
        return all(type(key) is str and is_json(inner) for key, inner in value.items())
    if type(value) is list:
        return all(map(is_json, value))
    return type(value) in _PLAIN or (type(value) is float and math.isfinite(value))


def _signature(folder: ProjectRunFolder, node: str) -> str:
    return f"{folder.run}:{node}"
