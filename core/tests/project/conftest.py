from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ORDERS = """
from os import system
import os as machine
from pydantic import BaseModel

class Order(BaseModel):
    id: int

class Item(BaseModel):
    sku: str

class Plain:
    pass

def tidy(entry, store):
    entry["raw_data"]["id"] = entry["raw_data"]["id"].strip()

class Chunky:
    def execute(self, entries, store):
        return entries

NUMBER = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a schema file and data."""
    place = tmp_path / "box"
    place.mkdir()
    (place / "orders.py").write_text(ORDERS, encoding="utf-8")
    (place / "orders.csv").write_text("id\n 1\n2\n", encoding="utf-8")
    return place


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    """Writes pipe.yaml into the folder."""

    def write(text: str) -> Path:
        path = folder / "pipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
