"""The records of many tests: numbers from 0 on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


class Number(BaseModel):
    n: int


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"n": i} for i in range(count)]


def endless(closed: threading.Event) -> Iterator[dict[str, Any]]:
    """All of them; *closed* is set when nobody wants more."""
    n = 0
    try:
        while True:
            yield {"n": n}
            n += 1
    finally:
        closed.set()
