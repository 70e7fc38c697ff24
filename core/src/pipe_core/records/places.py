"""Places: from what a person gave as source or sink to a `Source` or `Sink`.

A path or URL, a folder of part files such as ``out.jsonl/``, ``(path, options)``,
``{"path": ..., "format": ..., **options}``, an iterable, a list, a callable, a queue, or a finished object of a format.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Final, cast

from pipe_core.kernel.contracts import Format, Sink, Source
from pipe_core.kernel.errors import OptionsError, PluginNotFoundError, SinkError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.urls import is_pattern as is_url_pattern
from pipe_core.kernel.urls import local_path, redacted, scheme_of, without_query
from pipe_core.records.aio import AsyncItems, AsyncSink, is_async_callable, queue_items
from pipe_core.records.many import ManySources, is_pattern
from pipe_core.runtime.run_loop import RunLoop

COMPRESSED: Final = frozenset({".gz", ".lz4", ".zst"})
STANDARD: Final = "-"
"""Standard input or output."""
OBJECTS: Final = "memory"
"""The format of lists and the like: no URL means it, and fsspec has a store of that name."""
STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "http", "https", "sftp", "ftp", "hdfs"})
"""Schemes of stores that are known where fsspec is not installed, so that it can be named."""


def as_source(given: Any, loop: RunLoop) -> Source:
    """The source that *given* means.

    Raises:
        PluginNotFoundError: No installed format reads it; names the package that would.
        OptionsError: It means nothing, or an option is wrong.
    """
    if callable(getattr(given, "chunks", None)) and hasattr(given, "open"):
        return cast(Source, given)
    target, options = _target(given)
    if is_place(target):
        path = os.fspath(target)
        if parts := _parts(path, options):
            return ManySources(path, partial(_source, options), parts)
        if scheme_of(path) is not None and is_url_pattern(path) and is_remote(path):
            return ManySources(path, partial(_source, options), partial(_find, options))
        return ManySources(path, partial(_source, options)) if is_pattern(path) else _source(options, path)
    if is_async_callable(getattr(target, "get", None)):
        target = queue_items(target, options.pop("sentinel", None))
    if hasattr(target, "__aiter__"):
        target = AsyncItems(target, loop)
    if not (hasattr(target, "__iter__") or hasattr(target, "get")):
        raise OptionsError(
            f"{_shown(target)} is no source. Give a path, a URL, an iterable of records, a queue, or a source object."
        )
    return cast(Format, current_kernel().make("formats", "memory", options)).source(target)


def _source(options: dict[str, Any], path: str) -> Source:
    return _format(path, dict(options)).source(path)


def _parts(path: str, options: dict[str, Any]) -> Callable[[str], Mapping[str, int]] | None:
    """What lists the files of a folder, for a path that is one, or that ends as if it were one."""
    if scheme_of(path) is None and (path.endswith(("/", os.sep)) or os.path.isdir(path)):
        return getattr(_format(path, dict(options)), "parts", None)
    return None


def _find(options: dict[str, Any], pattern: str) -> Mapping[str, int]:
    """The files that a URL means, with their sizes."""
    find = getattr(_format(pattern, dict(options)), "find", None)
    if find is None:
        raise OptionsError(f"The format of '{redacted(pattern)}' reads one file at a time. Name a single one.")
    return cast(Mapping[str, int], find(pattern))


def as_sink(given: Any, loop: RunLoop, *, hostile: bool = False) -> Sink | None:
    """The sink that *given* means; None for None.

    With *hostile*, for what nobody has validated, a format that can keep a spreadsheet from running cells as formulas
    does so unless it is told otherwise.

    Raises:
        PluginNotFoundError: No installed format writes it; names the package that would.
        OptionsError: It means nothing, or an option is wrong.
    """
    if given is None:
        return None
    if callable(getattr(given, "encoder", None)) and hasattr(given, "commit"):
        return cast(Sink, given)
    target, options = _target(given)
    if is_place(target):
        return _format(target, options, hostile=hostile).sink(target)
    if is_async_callable(getattr(target, "put", None)):
        target = target.put
    if is_async_callable(target):
        target = AsyncSink(target, loop)
    if not (callable(target) or hasattr(target, "append") or hasattr(target, "put")):
        raise OptionsError(
            f"{_shown(target)} is no sink. Give a path, a URL, a list, a callable, a queue or a sink object."
        )
    return cast(Format, current_kernel().make("formats", "memory", options)).sink(target)


def _target(given: Any) -> tuple[Any, dict[str, Any]]:
    """What was given apart from its options, with ``~`` as the shell has it, and the path of a ``file://``."""
    target, options = _apart(given)
    return (local_path(os.path.expanduser(target)) if isinstance(target, str) else target), options


def shown(given: Any) -> Any:
    """What was given as source or sink, for people to see: no options, no secrets of a URL, and no records."""
    target = target_of(given)
    return (
        target if isinstance(target, str) or not isinstance(target, Collection) else _Held(f"<{type(target).__name__}>")
    )


def target_of(given: Any) -> Any:
    """What was given as source or sink, without options and without the secrets of a URL."""
    target, _ = _apart(given)
    return redacted(target) if isinstance(target, str) else target


class _Held(str):
    """What records are held in, which says its type and none of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def options_of(given: Any) -> dict[str, Any]:
    """The options of what was given as source or sink."""
    return _target(given)[1]


def without_options(given: Any) -> Any:
    """What was given as source or sink, without options."""
    return _target(given)[0]


def _shown(target: Any) -> str:
    """What was given instead of a place. Without what it holds: a pair that went wrong may hold a password."""
    return f"a {type(target).__name__}" if isinstance(target, tuple | list | Mapping) else repr(target)


def _apart(given: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(given, Mapping) and "path" in given:
        options = dict(given)
        return options.pop("path"), options
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        return given[0], dict(given[1])
    return given, {}


def is_place(target: Any) -> bool:
    """Whether *target* says where something is: a path or a URL."""
    return isinstance(target, str | PurePath | os.PathLike)


def _format(target: Any, options: dict[str, Any], *, hostile: bool = False) -> Format:
    name = options.pop("format", None) or format_name(os.fspath(target))
    if hostile and "formula" in current_kernel().spec("formats", name).options.model_fields:
        options.setdefault("formula", "escape")
    return cast(Format, current_kernel().make("formats", name, options))


def format_name(target: str) -> str:
    """The name of the format for a path or URL, by its scheme or its suffix.

    Raises:
        PluginNotFoundError: No installed format has that scheme or suffix.
        OptionsError: There is neither.
    """
    if target == STANDARD:
        return "jsonl"
    scheme, separator, _ = target.partition("://")
    if separator and not is_remote(target):
        return current_kernel().format_for_scheme(scheme)
    suffixes = [suffix.lower() for suffix in PurePath(without_query(target)).suffixes]
    target = redacted(target)
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    if not suffixes:
        names = ", ".join(current_kernel().index.names("formats"))
        raise OptionsError(
            f"'{target}' has no suffix that tells its format. Rename it, or say it: "
            f'("{target}", {{"format": "csv"}}). Installed formats: {names}.'
        )
    try:
        return current_kernel().format_for(suffixes[-1])
    except PluginNotFoundError as error:
        error.args = (f"{error} '{target}' ends in {suffixes[-1]}; for another format say {{'format': 'csv'}}.",)
        raise


def is_remote(target: str) -> bool:
    """Whether *target* is the URL of a file in a store: no format claims its scheme, and fsspec knows it."""
    scheme = scheme_of(target)
    if scheme is None:
        return False
    try:
        return current_kernel().format_for_scheme(scheme) == OBJECTS
    except PluginNotFoundError:
        return scheme in _stores()


def _stores() -> Collection[str]:
    """The schemes that fsspec knows, without importing what is behind them."""
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        return STORES
    return cast(Collection[str], fsspec.available_protocols())


def check_places(source: Source, sink: Sink | None, errors: Sink | None) -> None:
    """Refuse places that would get in each other's way.

    Raises:
        SinkError: Both sinks are the same file.
    """
    for one in (sink, errors):
        if one is not None and _same(source.name, one.name):
            raise SinkError(
                f"{one.name} is the source and would be replaced by a part of itself. Write to another file.",
                sink=one.name,
            )
    if sink is not None and errors is not None and _same(sink.name, errors.name):
        raise SinkError(
            f"The sink and the error sink are both {sink.name}. Give rejected records a place of their own.",
            sink=sink.name,
        )


def _same(one: str, other: str) -> bool:
    if one == STANDARD or one.startswith("<") or one == "standard output":
        return False
    return os.path.realpath(one) == os.path.realpath(other)
