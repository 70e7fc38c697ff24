"""The formats keep the promises of the kit, as files and with what else a file may look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipe_core.kernel.contracts import Format, Sink, Source
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


class InFolders:
    """A format whose targets are folders of part files."""

    def __init__(self, kind: Format) -> None:
        self._kind = kind

    def source(self, target: Any) -> Source:
        return self._kind.source(target)

    def sink(self, target: Any) -> Sink:
        return self._kind.sink(f"{target}/")


class TestParquetInFolders(FormatConformance):
    format = "parquet"
    suffix = ".parquet"
    options: ClassVar[dict[str, Any]] = {"part_size": 70}

    def make_format(self) -> Format:
        return InFolders(super().make_format())

    def content(self, path: Path) -> Any:
        return tuple(one.read_bytes() for one in sorted(path.iterdir()))

    def occupy(self, path: Path) -> None:
        path.mkdir()
        (path / "part-00000.parquet").write_bytes(b"precious")
