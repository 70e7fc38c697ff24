"""The format: its sources and its sinks."""

from __future__ import annotations

import os
from typing import Any

from pipe_arrow.fixed_types import fixed_types
from pipe_core.formats.paths import path_of
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.urls import scheme_of
from pipe_delta.options import DeltaOptions
from pipe_delta.place import Place
from pipe_delta.sink import DeltaSink
from pipe_delta.source import DeltaSource


class DeltaFormat:
    """Reads and writes tables of Delta Lake.

    Args:
        options: How.
    """

    def __init__(self, options: DeltaOptions) -> None:
        self._options = options
        self._fixed = fixed_types(options.types)

    def source(self, target: Any, /) -> DeltaSource:
        """A source over the table *target*."""
        return DeltaSource(self._place(target), self._options)

    def sink(self, target: Any, /) -> DeltaSink:
        """A sink into the table *target*."""
        return DeltaSink(self._place(target), self._options, self._fixed)

    def _place(self, target: Any) -> Place:
        path = path_of(target)
        if path == "-":
            raise OptionsError(
                "A Delta table is a folder, not a stream. Give a path or a URL.", problems={"target": "is a stream"}
            )
        options = {str(name): str(value) for name, value in self._options.storage_options.items()}
        if scheme_of(path) is not None:
            return Place(path.rstrip("/"), options)
        if options:
            problem = f"storage_options are for URLs, and {path!r} is a path"
            raise OptionsError(f"{problem}. Leave them out.", problems={"storage_options": problem})
        return Place(os.path.realpath(os.path.expanduser(path)))
