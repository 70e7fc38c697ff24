"""What the configuration of a node says of data: one way to read mappings and models, lists and single ones.

There are two ways to say that a node is a stream: its ``streaming:``, or an ``input`` that is a mapping with a format
which only streams have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipe_core.kernel.errors import PipeError
from pipe_core.project.config.models import DatasetConfig
from pipe_core.project.validation.format_policy import FormatPolicy

_CHECKPOINT: Final = "checkpoint_location"


@dataclass(frozen=True, slots=True)
class DataPlace:
    """One input or output of a node.

    Attributes:
        name: The name of the data set; None for one that is described in its place.
        format: Its format; None where nothing tells it.
        path: Where it is; None where nothing tells that.
        table: The table, of a system that has tables.
        topic: The topic, of a system that has topics.
        checkpoint: Where a stream keeps how far it is, if that is said here.
    """

    name: str | None = None
    format: str | None = None
    path: str | None = None
    table: str | None = None
    topic: str | None = None
    checkpoint: str | None = None

    @property
    def is_stored(self) -> bool:
        """Whether it is known where it is."""
        return bool(self.path or self.topic)

    @property
    def key(self) -> str | None:
        """What tells it from others: its path and table, its topic, or its name; None where nothing is known."""
        if self.topic is not None:
            return f"topic {self.topic}"
        if self.path is None:
            return None if self.name is None else f"data set {self.name}"
        table = "" if self.table is None else f", table {self.table}"
        return f"path {self.path.removeprefix('./').rstrip('/')}{table}"

    def __str__(self) -> str:
        return f"'{self.name}'" if self.name is not None else f"'{self.path or self.topic or self.format}'"


def said(config: Any, key: str) -> Any:
    """What the configuration of a node or a pipeline says under *key*."""
    return config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)


def places_of(config: Any, side: str, catalog: Mapping[str, Any]) -> list[DataPlace]:
    """The inputs or outputs of a node.

    Args:
        config: Its configuration.
        side: ``input`` or ``output``.
        catalog: The data sets, as models or mappings.
    """
    return [_place(one, catalog) for one in _entries(said(config, side))]


def _entries(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        yield from value
    elif value is not None:
        yield value


def _place(entry: Any, catalog: Mapping[str, Any]) -> DataPlace:
    if isinstance(entry, str):
        found = catalog.get(entry)
        return DataPlace(entry) if found is None else _described(entry, found)
    return _described(None, entry)


def _described(name: str | None, entry: Any) -> DataPlace:
    if isinstance(entry, str):
        entry = {"path": entry}
    options = said(entry, "options") or {}
    options = options if isinstance(options, Mapping) else {}
    path, kind = said(entry, "path") or options.get("path"), said(entry, "format")
    topic = said(entry, "topic") or options.get("topic") or options.get("subscribe")
    if kind is None and isinstance(path, str):
        kind = _format_of(path)
    checkpoint = said(entry, _CHECKPOINT) or options.get(_CHECKPOINT) or options.get("checkpointLocation")
    found = (kind, path, options.get("table"), topic, checkpoint)
    return DataPlace(name, *(None if one is None else str(one) for one in found))


def _format_of(path: str) -> str | None:
    from pipe_core.records.places import format_name

    try:
        return format_name(path)
    except PipeError:
        return None


def is_streaming(config: Any, policy: FormatPolicy) -> bool:
    """Whether a node is a stream."""
    declared = said(config, "streaming")
    if declared not in (None, False):
        return True
    value = said(config, "input")
    entries = list(_entries(value))
    if declared is False and not isinstance(config, Mapping):  # a model says so of every node that is none
        return any(isinstance(one, DatasetConfig) and one.format in _only_streams(policy) for one in entries)
    return isinstance(value, Mapping) and said(value, "format") in policy.streaming_inputs


def _only_streams(policy: FormatPolicy) -> frozenset[str]:
    return policy.streaming_inputs - policy.batch_inputs


def is_declared(config: Any) -> bool:
    """Whether a node says ``streaming:``. How far it is, is kept with its run then, and it may end in its function."""
    declared = said(config, "streaming")
    return declared is not None and declared is not False


def checkpoint_of(config: Any, places: list[DataPlace]) -> str | None:
    """Where a stream keeps how far it is, wherever that is said."""
    declared = said(config, "streaming")
    own = said(declared, _CHECKPOINT) if isinstance(declared, Mapping) else None
    return own or next((one.checkpoint for one in places if one.checkpoint), None)
