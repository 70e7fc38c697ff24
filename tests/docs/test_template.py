"""The page about executors shows the template of a plugin as it is."""

from pathlib import Path

import pytest
from blocks import blocks

SHOWN = ["src/pipe_hello/__init__.py", "src/pipe_hello/plugin.py", "src/pipe_hello/backend.py", "tests/test_hello.py"]


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_the_file_of_the_template(name: str, root: Path) -> None:
    page = root / "docs" / "pages" / "plugins" / "executor.md"
    (text,) = [block.text for block in blocks(page) if block.title == name]
    assert text == (root / "docs" / "examples" / "pipe-hello" / name).read_text("utf-8")
