"""Orders: made-up records of eight fields, always the same ones, two in a hundred of them bad."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

FIELDS: Final = ("order_id", "customer", "email", "age", "amount", "ordered_on", "status", "gift")
BAD_EVERY: Final = 50
"""One record of so many is bad: in its email, age, amount and status by turns."""
_BAD_AT: Final = 17
_SEED: Final = 20260101
_STATUSES: Final = ("new", "paid", "shipped", "returned")
_FIRST: Final = ("Ada", "Alan", "Barbara", "Edsger", "Grace", "John", "Katherine", "Leslie")
_LAST: Final = ("Lovelace", "Turing", "Liskov", "Dijkstra", "Hopper", "von Neumann", "Johnson", "Lamport")


def bad_count(count: int) -> int:
    """How many of the first *count* orders are bad."""
    return len(range(_BAD_AT, count, BAD_EVERY))


def orders(count: int) -> Iterator[dict[str, Any]]:
    """The first *count* orders as JSON would hold them. The same in every process and every version of Python."""
    bits_of = random.Random(_SEED).getrandbits  # of this one generator Python promises the sequence
    days = [str(date(2024, 1, 1) + timedelta(day)) for day in range(730)]
    for i in range(count):
        bits = bits_of(64)
        order = {
            "order_id": i,
            "customer": _customer(bits),
            "email": f"user{(bits >> 10) % 100_000}@example.com",
            "age": 18 + (bits >> 27) % 70,
            "amount": ((bits >> 34) % 1_000_000) / 1000,
            "ordered_on": days[(bits >> 54) % 730],
            "status": _STATUSES[bits & 3],
            "gift": bool(bits & 4),
        }
        if i % BAD_EVERY == _BAD_AT:
            _spoil(order, i // BAD_EVERY % 4)
        yield order


def _customer(bits: int) -> str:
    first, last = _FIRST[bits >> 3 & 7], _LAST[bits >> 6 & 7]
    kind = bits >> 9 & 15
    if kind == 0:
        return f"{last}, {first}"  # needs quotes in CSV
    return f"{first} {last}  " if kind == 1 else f"{first} {last}"  # with white space for a hook to strip


def _spoil(order: dict[str, Any], way: int) -> None:
    field, value = (("email", "not-an-email"), ("age", 200), ("amount", -5.0), ("status", "lost"))[way]
    order[field] = value


def write_csv(path: Path, count: int) -> None:
    """Write *count* orders as CSV with a header. Booleans are ``true`` and ``false``."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for order in orders(count):
            order["gift"] = "true" if order["gift"] else "false"
            writer.writerow(order.values())


def write_jsonl(path: Path, count: int) -> None:
    """Write *count* orders as JSON lines."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        for order in orders(count):
            file.write(json.dumps(order, separators=(",", ":")) + "\n")


def prepared(folder: Path, kind: Literal["csv", "jsonl"], count: int) -> Path:
    """The file of *count* orders in *folder*, written if it is not there yet."""
    path = folder / f"orders-{count}.{kind}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        (write_csv if kind == "csv" else write_jsonl)(part, count)
        part.replace(path)
    return path
