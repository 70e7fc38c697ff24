"""Describes the formats. Imports neither pyarrow nor fastavro."""

from __future__ import annotations

import importlib.util
from typing import Any

from pipe_arrow.options import AvroOptions, FeatherOptions, OrcOptions, ParquetOptions
from pipe_core.kernel.contracts import Format
from pipe_core.kernel.errors import PluginDependencyError
from pipe_core.kernel.hookspecs import hookimpl
from pipe_core.kernel.specs import FormatSpec


def _parquet(options: Any) -> Format:
    from pipe_arrow.table_format import TableFormat

    return TableFormat("parquet", options)


def _orc(options: Any) -> Format:
    from pipe_arrow.table_format import TableFormat

    return TableFormat("orc", options)


def _feather(options: Any) -> Format:
    from pipe_arrow.table_format import TableFormat

    return TableFormat("feather", options)


def _check_avro() -> None:
    if importlib.util.find_spec("fastavro") is None:
        raise PluginDependencyError(
            "The format 'avro' of pipe-arrow needs the module 'fastavro', which is not installed. "
            "Install it: pip install 'pipe-arrow[avro]'",
            family="formats",
            name="avro",
            distribution="pipe-arrow",
            missing="fastavro",
        )


def _avro(options: Any) -> Format:
    _check_avro()
    from pipe_arrow.table_format import TableFormat

    return TableFormat("avro", options)


_SPECS = {
    "parquet": FormatSpec(_parquet, ParquetOptions, "Parquet files", suffixes=(".parquet", ".pq")),
    "orc": FormatSpec(_orc, OrcOptions, "ORC files", suffixes=(".orc",)),
    "feather": FormatSpec(_feather, FeatherOptions, "Arrow IPC files", suffixes=(".feather", ".arrow", ".ipc")),
    "avro": FormatSpec(
        _avro, AvroOptions, "Avro files (needs pipe-arrow[avro])", suffixes=(".avro",), check=_check_avro
    ),
}


@hookimpl
def pipe_format(name: str) -> FormatSpec | None:
    """The spec of `parquet`, `orc`, `feather` or `avro`."""
    return _SPECS.get(name)
