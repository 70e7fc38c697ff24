"""The records of many tests: numbers from 0 on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Number(BaseModel):
    n: int


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"n": i} for i in range(count)]
