"""The examples in README.md run."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


def test_the_examples_print_what_they_say() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "example"})
    assert printed.getvalue().splitlines() == re.findall(r"# -> (.*)", code)
