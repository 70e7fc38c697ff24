from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipe_core.cli.app import app
from pipe_core.project.template import write_project

ORDERS = """
from pydantic import BaseModel

class Order(BaseModel):
    id: int
    amount: float

class Plain:
    pass

def clean(entry, store):
    pass
"""

Pipe = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder: a schema, a good file with one bad record, and no settings from anywhere."""
    (tmp_path / "orders.py").write_text(ORDERS, encoding="utf-8")
    (tmp_path / "orders.csv").write_text("id,amount\n1,2.5\nx,3\n3,4\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in list(os.environ):
        if name.startswith("PIPE_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def pipe() -> Pipe:
    """Calls the command line in this process."""

    def call(*words: str, **how: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], **how)  # type: ignore[arg-type]  # any option of invoke()

    return call


@pytest.fixture
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project of `pipe init`, which is the working folder."""
    write_project(folder / "shop")
    monkeypatch.chdir(folder / "shop")
    return folder / "shop"


@pytest.fixture
def dated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project with dates, which is the working folder."""
    write_project(folder / "dated", with_dates=True)
    monkeypatch.chdir(folder / "dated")
    return folder / "dated"
