"""How the built-in formats describe themselves, and what their options refuse."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError
from reading import make

from pipe_core.formats import plugin
from pipe_core.kernel.contracts import Format
from pipe_core.kernel.errors import OptionsError


@pytest.mark.parametrize(
    ("name", "suffixes"),
    [("csv", (".csv", ".tsv")), ("jsonl", (".jsonl", ".ndjson")), ("json", (".json",)), ("memory", ())],
)
def test_every_format_has_a_spec(name: str, suffixes: tuple[str, ...]) -> None:
    spec = plugin.pipe_format(name)
    assert spec is not None
    assert spec.suffixes == suffixes
    assert spec.summary
    assert isinstance(spec.factory(spec.options()), Format)


def test_other_names_are_left_to_others() -> None:
    assert plugin.pipe_format("parquet") is None


def test_describing_imports_no_format() -> None:
    program = (
        "import sys; from pipe_core.formats import plugin; plugin.pipe_format('csv');"
        "print([m for m in sys.modules if m.startswith('pipe_core.formats.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "['pipe_core.formats.options', 'pipe_core.formats.plugin']"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("csv", {"delimeter": ";"}),
        ("csv", {"delimiter": ";;"}),
        ("csv", {"delimiter": ""}),
        ("csv", {"delimiter": "\n"}),
        ("csv", {"delimiter": "\ud800"}),
        ("csv", {"delimiter": '"'}),
        ("csv", {"delimiter": "|", "escapechar": "|"}),
        ("csv", {"fieldnames": []}),
        ("csv", {"fieldnames": ["a", "a"]}),
        ("csv", {"skip_rows": -1}),
        ("csv", {"max_rows": -1}),
        ("csv", {"header": "second"}),
        ("csv", {"formula": "run"}),
        ("csv", {"on_extra": "drop"}),
        ("jsonl", {"max_depth": 0}),
        ("jsonl", {"max_depth": 1000}),
        ("jsonl", {"prefix": "a"}),
        ("json", {"max_record_bytes": 0}),
        ("json", {"prefix": ""}),
        ("memory", {"encoding": "utf-8"}),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(name, **options)


def test_options_are_frozen() -> None:
    spec = plugin.pipe_format("csv")
    assert spec is not None
    with pytest.raises(ValidationError):
        spec.options().encoding = "x"


@pytest.mark.parametrize("encoding", ["no-such-codec", "rot13", "base64"])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    for name in ("csv", "jsonl", "json"):
        with pytest.raises(OptionsError, match="encoding"):
            make(name, encoding=encoding).source("a")
        with pytest.raises(OptionsError, match="encoding"):
            make(name, encoding=encoding).sink("a")


def test_a_path_with_nul_is_refused() -> None:
    with pytest.raises(OptionsError, match="NUL"):
        make("csv").source("a\0b")
    with pytest.raises(OptionsError, match="NUL"):
        make("csv").sink("a\0b")


def test_zstd_names_its_extra(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    for name in ("csv", "jsonl", "json"):
        for make_end in (make(name).source, make(name).sink):
            with pytest.raises(OptionsError, match=r"pip install 'pipe-core\[zstd\]'"):
                make_end(tmp_path / f"a.{name}.zst")
