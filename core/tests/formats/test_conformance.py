"""The built-in formats keep the promises of the kit that other formats are held to."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar

import pytest

from pipe_core.testing.formats import FormatConformance


class TestCsv(FormatConformance):
    format = "csv"
    suffix = ".csv"


class TestCsvWithTabs(FormatConformance):
    format = "csv"
    suffix = ".tsv"


class TestCsvCompressed(FormatConformance):
    format = "csv"
    suffix = ".csv.gz"


class TestCsvInUtf16(FormatConformance):
    format = "csv"
    suffix = ".csv"
    options: ClassVar[dict[str, Any]] = {"encoding": "utf-16"}


class TestCsvEscaped(FormatConformance):
    format = "csv"
    suffix = ".csv"
    options: ClassVar[dict[str, Any]] = {"escapechar": "\\", "delimiter": ";", "quotechar": "'"}


class TestJsonl(FormatConformance):
    format = "jsonl"
    suffix = ".jsonl"


class TestJsonlCompressedWithLz4(FormatConformance):
    format = "jsonl"
    suffix = ".jsonl.lz4"


class TestJson(FormatConformance):
    format = "json"
    suffix = ".json"
    appends = False


class TestJsonInsideObjects(FormatConformance):
    format = "json"
    suffix = ".json.gz"
    options: ClassVar[dict[str, Any]] = {"prefix": "data.items"}
    appends = False


@pytest.mark.skipif(
    importlib.util.find_spec("compression") is None and importlib.util.find_spec("backports") is None,
    reason="zstd is an extra",
)
class TestJsonlCompressedWithZstd(FormatConformance):
    format = "jsonl"
    suffix = ".jsonl.zst"
