"""The delimiter that a path's suffix means."""

from __future__ import annotations

from pipe_core.formats.compression import compression_of
from pipe_core.kernel.urls import without_query


def delimiter_of(path: str) -> str:
    """A tab for ``.tsv``, also in front of a suffix of compression; a comma for all else."""
    compression = compression_of(path) or ""
    return "\t" if without_query(path).lower().removesuffix(compression).endswith(".tsv") else ","
