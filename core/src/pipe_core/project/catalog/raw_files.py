"""Files that hold one value: a pickled object, a text, bytes, or a JSON value that is no list of records."""

from __future__ import annotations

import importlib
import json
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.input_file import InputFile, reading_errors
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetValueError
from pipe_core.project.config.secrets import reveal
from pipe_core.runtime.pickling import dumps

_PIECE: Final = 1 << 20


def raw_sink(dataset: Dataset) -> FileSink:
    """A sink that writes bytes as they are."""
    return FileSink(dataset.target, JsonlEncoder(), _storage_options(dataset))


def raw_bytes(dataset: Dataset) -> bytes:
    """All that is in the file. Raises `SourceError`."""
    file = InputFile(dataset.target, "utf-8", _storage_options(dataset))
    file.open()
    try:
        with reading_errors(file.name):
            stream = file.content()
            pieces: list[bytes] = []
            while piece := stream.read(_PIECE):
                pieces.append(piece)
            return b"".join(pieces)
    finally:
        file.close()


def encoded(dataset: Dataset, value: Any) -> bytes:
    """The bytes that hold *value*. Raises `DatasetValueError`."""
    form = dataset.config.load_as
    if dataset.is_pickle:
        return _pickled(dataset, value)
    if form == "text":
        if isinstance(value, str):
            return value.encode()
        raise _wrong(dataset, value, "text")
    if form == "bytes":
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        raise _wrong(dataset, value, "bytes")
    try:
        plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else to_jsonable_python(value)
        return json.dumps(plain, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except Exception as error:  # a serializer of the user's may raise anything
        text = f"{dataset.title} holds JSON, and {type(value).__name__} cannot be written as that: {error}."
        raise DatasetValueError(text, dataset=dataset.name) from error


def decoded(dataset: Dataset, data: bytes) -> Any:
    """The value that the bytes hold. Raises `DatasetValueError`."""
    form = dataset.config.load_as
    if form == "bytes":
        return data
    kind = "text" if form == "text" else "a pickle" if dataset.is_pickle else "JSON"
    try:
        if form == "text":
            return data.decode("utf-8-sig")
        if kind == "a pickle":
            return importlib.import_module("pickle").loads(data)
        return json.loads(data, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except Exception as error:  # what is unpickled may raise anything
        reason = str(error) or type(error).__name__
        text = f"{dataset.title}: {dataset.shown!r} cannot be read as {kind}: {reason}."
        raise DatasetValueError(text, dataset=dataset.name) from error


def _pickled(dataset: Dataset, value: Any) -> bytes:
    try:
        return dumps(value)
    except Exception as error:  # whatever a strange object raises
        text = f"{dataset.title}: {type(value).__name__} cannot be pickled: {error}."
        raise DatasetValueError(text, dataset=dataset.name) from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _storage_options(dataset: Dataset) -> dict[str, Any]:
    return dict(reveal(dataset.config.options.get("storage_options") or {}))


def _wrong(dataset: Dataset, value: Any, kind: str) -> DatasetValueError:
    text = f"{dataset.title} holds {kind}, and a value of type {type(value).__name__} was to be saved."
    return DatasetValueError(text, dataset=dataset.name)
