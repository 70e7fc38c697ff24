from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pipe_core.project.config import imports

ETL = """
from os import system
import os as machine
import functools
from subprocess import run
from shop.models import Order

def extract(orders, *, start_date=None, end_date=None):
    return [Order(**one) for one in orders]

def transform(clean):
    return clean

def _hidden():
    pass

class Plain:
    pass

partial = functools.partial(system, "true")
TABLE = {"a": 1}
"""

MODELS = """
from pydantic import BaseModel

class Order(BaseModel):
    id: int

class Item(BaseModel):
    sku: str
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with code and data, and no file of the project yet."""
    place = tmp_path / "box"
    (place / "shop").mkdir(parents=True)
    (place / "shop" / "__init__.py").write_text("", encoding="utf-8")
    (place / "shop" / "etl.py").write_text(ETL, encoding="utf-8")
    (place / "shop" / "models.py").write_text(MODELS, encoding="utf-8")
    (place / "single.py").write_text("def step(*inputs):\n    return list(inputs)\n", encoding="utf-8")
    (place / "orders.csv").write_text("id\n1\n2\n", encoding="utf-8")
    return place


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Writes files into the folder; gives the first one."""

    def write(text: str, name: str = "pipe.yaml", **more: str) -> Path:
        for stem, content in {name: text, **{f"{one}.yaml": content for one, content in more.items()}}.items():
            path = folder / stem
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(content), encoding="utf-8")
        return folder / name

    return write


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    """Takes the modules of projects away, those of other tests too, as if each test had a process of its own."""
    _forget_projects()
    yield
    _forget_projects()


def _forget_projects() -> None:
    import sys

    imports._finder.folders.clear()
    imports._finder.used = None
    imports._away.clear()
    imports._files.clear()
    for name in list(sys.modules):
        if name.partition(".")[0] in ("shop", "single", "steps", "helpers") or name.startswith("_pipe_file_"):
            del sys.modules[name]
