"""What the tests of part files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from reading import make

from pipe_core import Pipe


class Row(BaseModel):
    n: int
    text: str


class City(BaseModel):
    city: str


COUNT = 6_000
RECORDS = [{"n": i, "text": f"é{i},\n" * (1 + i % 3)} for i in range(COUNT)]
QUOTED = "n,text\n" + "".join(f'{i},"{record["text"]}"\n' for i, record in enumerate(RECORDS))


def read_back(target: str | Path) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []
    assert Pipe(f"{target}/", got).run().conserved
    return got


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def contents(place: Path, *, hidden: bool = True) -> Any:
    """All that is there, byte for byte: with its permissions, and of links where they go."""
    if place.is_symlink():
        return os.readlink(place)
    mode = place.stat().st_mode
    if not place.is_dir():
        return mode, place.read_bytes()
    names = [name for name in names_in(place) if hidden or name[0] != "."]
    return mode, {name: contents(place / name, hidden=hidden) for name in names}


def opened(target: Path, mode: str = "error", name: str = "jsonl", **options: Any) -> Any:
    sink = make(name, **options).sink(f"{target}/")
    sink.open(mode)
    return sink
