"""The example in README.md runs, and its table is that of the options."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from pipe_delta.options import DeltaOptions

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
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == list(DeltaOptions.model_fields)
