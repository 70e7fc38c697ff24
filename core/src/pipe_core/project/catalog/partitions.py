"""Folders of partitions: ``day=2025-01-01/region=north/``, with part files in the last one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import quote, unquote

from pipe_core.formats.compression import SUFFIXES
from pipe_core.kernel.urls import scheme_of
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetNotFoundError, DatasetRecordError, DatasetValueError
from pipe_core.project.catalog.rows import shown
from pipe_core.project.catalog.values import installed
from pipe_core.runtime.durable import sync_folder

_NOTHING: Final = "__HIVE_DEFAULT_PARTITION__"
_PLAIN: Final = " !$&'()+,;@[]^`{|}~"
"""Characters beside letters and digits that may be in the name of a folder."""
_PART: Final = re.compile(r"part-\d{5,}\..+")

Key = tuple[str | None, ...]
"""The values of the fields of `partition_by`, as text; None for no value."""


def root(dataset: Dataset) -> str:
    """The folder with all partitions. Raises `DatasetValueError`."""
    target = dataset.target
    if scheme_of(target) is not None or target == "-" or dataset.format == "json":
        text = f"{dataset.title}: partition_by makes folders of part files, which {dataset.shown!r} cannot be."
        raise DatasetValueError(text, dataset=dataset.name)
    top = target.rstrip("/" + os.sep)
    if top.lower().endswith(SUFFIXES):
        text = f"{dataset.title}: part files of partitions are not compressed. Leave {os.path.splitext(top)[1]} out."
        raise DatasetValueError(text, dataset=dataset.name)
    return top


def folder_of(dataset: Dataset, key: Key) -> str:
    """The folder of a partition, relative to `root`."""
    names = dataset.config.partition_by
    return "/".join(f"{name}={_folder_name(value)}" for name, value in zip(names, key, strict=True)) + "/"


def found(dataset: Dataset) -> dict[str, Key]:
    """The partitions that there are: their folders relative to `root`, and their keys, in the order of their names.

    Raises:
        DatasetNotFoundError: There is no such folder.
    """
    top = root(dataset)
    if not os.path.isdir(top):
        raise DatasetNotFoundError(f"{dataset.title}: there is no folder {top!r}.", dataset=dataset.name)
    return {folder_of(dataset, key): key for key in sorted(_found(top, dataset.config.partition_by), key=_order)}


def _order(key: Key) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, value or "") for value in key)


def _found(folder: str, names: Sequence[str]) -> Iterator[Key]:
    if not names:
        yield ()
        return
    for entry in sorted(os.listdir(folder)):
        name, separator, value = entry.partition("=")
        if separator and name == names[0] and os.path.isdir(path := os.path.join(folder, entry)):
            text = None if value == _NOTHING else unquote(value)
            yield from ((text, *rest) for rest in _found(path, names[1:]))


def text_of(dataset: Dataset, name: str, value: Any, position: int) -> str | None:
    """The value of a field as the name of a folder says it. Raises `DatasetRecordError` for what no name can say."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int) and value != "":
        return str(value)
    raise DatasetRecordError(
        f"{dataset.title}: the record at position {position:,} has {shown(value)} in '{name}', by which no folder can "
        f"be called. Partitions are made by text, whole numbers and dates.",
        dataset=dataset.name,
        position=position,
        field=name,
        value=value,
    )


def _folder_name(value: str | None) -> str:
    return _NOTHING if value is None else quote(value, safe=_PLAIN)


# --- records and tables in groups ---


def grouped_records(dataset: Dataset, records: Iterable[Mapping[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Records by their partitions, without the fields that the folders tell. Raises `DatasetRecordError`."""
    names = dataset.config.partition_by
    groups: dict[Key, list[dict[str, Any]]] = {}
    for position, record in enumerate(records):
        rest = dict(record)
        for name in names:
            if name not in rest:
                raise _missing(dataset, name, rest)
        key = tuple(text_of(dataset, name, rest.pop(name), position) for name in names)
        groups.setdefault(key, []).append(rest)
    return groups


def grouped_table(dataset: Dataset, table: Any) -> dict[Key, Any]:
    """The same of a table of Arrow."""
    names = dataset.config.partition_by
    for name in names:
        if name not in table.schema.names:
            raise _missing(dataset, name, table.schema.names)
    columns = [table.column(name).to_pylist() for name in names]
    rows: dict[Key, list[int]] = {}
    for position, values in enumerate(zip(*columns, strict=True)):
        key = tuple(text_of(dataset, name, one, position) for name, one in zip(names, values, strict=True))
        rows.setdefault(key, []).append(position)
    rest = table.drop_columns(list(names))
    return {key: rest.take(positions) for key, positions in rows.items()}


def with_columns(dataset: Dataset, table: Any, key: Key, kinds: Mapping[str, Any]) -> Any:
    """*table* of one partition with the columns that its folders tell, of the types *kinds* where these are known.

    Raises:
        DatasetRecordError: What a folder tells is not of the type.
    """
    arrow = installed("pyarrow")
    for name, value in zip(dataset.config.partition_by, key, strict=True):
        column = arrow.array([value] * table.num_rows, arrow.string())
        try:
            made = column.cast(_arrow_type(arrow, kinds.get(name)))
        except arrow.ArrowInvalid as error:
            text = (
                f"{dataset.title}: the partition {folder_of(dataset, key)!r} has {shown(value)} in '{name}': {error}."
            )
            raise DatasetRecordError(text, dataset=dataset.name, position=0, field=name, value=value) from error
        table = table.append_column(name, made)
    return table


def _arrow_type(arrow: Any, kind: Any) -> Any:
    known = {int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_(), date: arrow.date32()}
    return known.get(kind, arrow.string())


def _missing(dataset: Dataset, name: str, names: Iterable[Any]) -> DatasetValueError:
    text = f"{dataset.title} is partitioned by '{name}', which is not in the records: {', '.join(map(str, names))}."
    return DatasetValueError(text, dataset=dataset.name)


# --- partitions that go ---


def to_remove(dataset: Dataset, folder: str) -> dict[str, Any]:
    """What is removed of a partition, as plain data. Raises `DatasetValueError` where it holds what is no part file."""
    path = os.path.join(root(dataset), folder)
    files: list[list[Any]] = []
    for entry in sorted(os.scandir(path), key=lambda one: one.name):
        if not _PART.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
            text = f"{dataset.title}: the partition {path!r} is to go, and {entry.name!r} in it is no part file."
            raise DatasetValueError(f"{text} Move it away.", dataset=dataset.name)
        files.append([entry.name, entry.inode()])
    return {"folder": folder, "files": files}


def remove(dataset: Dataset, removed: Mapping[str, Any]) -> None:
    """Remove what `to_remove` told of, and the folders that are empty then. What is new since stays."""
    top = root(dataset)
    path = os.path.join(top, removed["folder"]).rstrip("/")
    for name, inode in removed["files"]:
        file = os.path.join(path, name)
        try:
            if os.lstat(file).st_ino == inode:
                os.unlink(file)
        except FileNotFoundError:
            continue
    while path != top:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError:  # there is something in it
            break
        path = os.path.dirname(path)
    if os.path.isdir(top):
        sync_folder(top)
