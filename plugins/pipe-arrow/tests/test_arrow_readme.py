"""The example in README.md runs, and its tables are those of the options."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from pipe_arrow.plugin import pipe_format

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


def test_the_example_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    script = tmp_path / "example.py"
    script.write_text(code)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(script), "exec", dont_inherit=True), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"# -> (.*)", code)


def test_the_table_of_options_has_all_of_them() -> None:
    for format in ("parquet", "orc", "feather", "avro"):
        spec = pipe_format(format)
        assert spec is not None
        for option in spec.options.model_fields:
            line = re.search(rf"^\| `{option}` \|.*$", README, re.MULTILINE)
            assert line is not None, option
            of = line[0].split(" | ")[2]
            assert of == "all" or f"`{format}`" in of, (option, format)


def test_the_table_of_formats_has_their_suffixes() -> None:
    for format in ("parquet", "orc", "feather", "avro"):
        line = re.search(rf"^\| `{format}` \| (`\..*?) \|", README, re.MULTILINE)
        assert line is not None
        spec = pipe_format(format)
        assert spec is not None
        assert tuple(re.findall(r"`([^`]+)`", line[1])) == spec.suffixes
