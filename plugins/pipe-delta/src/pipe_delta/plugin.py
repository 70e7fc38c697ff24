"""Describes the format `delta`. Imports neither deltalake nor pyarrow."""

from __future__ import annotations

from typing import Any

from pipe_core.kernel.contracts import Format
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import FormatSpec
from pipe_delta.options import DeltaOptions


def _delta(options: Any) -> Format:
    from pipe_delta.delta_format import DeltaFormat

    return DeltaFormat(options)


_SPEC = FormatSpec(_delta, DeltaOptions, "Tables of Delta Lake", suffixes=(".delta",))


@hookimpl
def pipe_format(name: str) -> FormatSpec | None:
    """The spec of `delta`."""
    return _SPEC if name == "delta" else None
