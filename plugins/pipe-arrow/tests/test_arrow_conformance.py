"""The formats keep the promises of the kit, as files and with what else a file may look like."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from pipe_core.testing.formats import FormatConformance


class TestParquet(FormatConformance):
    format = "parquet"
    suffix = ".parquet"
    appends = False


class TestParquetInSmallRowGroups(FormatConformance):
    format = "parquet"
    suffix = ".pq"
    options: ClassVar[dict[str, Any]] = {"row_group_size": 7, "compression": "snappy"}
    appends = False


class TestParquetWithTypes(FormatConformance):
    format = "parquet"
    suffix = ".parquet"
    options: ClassVar[dict[str, Any]] = {"types": {"text": "large_string"}, "compression": "none"}
    appends = False


class TestOrc(FormatConformance):
    format = "orc"
    suffix = ".orc"
    appends = False


class TestFeather(FormatConformance):
    format = "feather"
    suffix = ".feather"
    appends = False


class TestFeatherInSmallBatches(FormatConformance):
    format = "feather"
    suffix = ".arrow"
    options: ClassVar[dict[str, Any]] = {"row_group_size": 7, "compression": "none"}
    appends = False


class TestAvro(FormatConformance):
    format = "avro"
    suffix = ".avro"
    appends = False

    @pytest.fixture(autouse=True)
    def _needs_fastavro(self) -> None:
        pytest.importorskip("fastavro")
