"""The example in README.md runs, and its table is that of the options."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from pipe_ray import RayOptions

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


@pytest.mark.timeout(120)
def test_the_example_prints_what_it_says() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"# -> (.*)", code)


def test_the_table_has_the_options() -> None:
    table = README.split("## Options")[1].split("## What it costs")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(RayOptions.model_fields)
