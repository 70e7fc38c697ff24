"""The inputs: records, and files of every kind that hold them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

SMALL = 60
MANY = 6_000
"""Enough for several splits."""


def orders(count: int = SMALL) -> list[dict[str, Any]]:
    """Records of which every thirteenth is invalid."""
    return [{"id": n, "name": f"näme {n}", "price": "much" if n % 13 == 12 else f"{n}.50"} for n in range(count)]


def many() -> list[dict[str, Any]]:
    """Records for splits: long and short, with line ends and quotes inside of cells."""
    texts = ["short", 'a "quoted" text', "two\nlines", "ü" * 40, "x, y", ""]
    return [
        {"id": n, "name": texts[n % 6], "price": "much" if n % 1000 == 999 else f"{n}.25", "key": n % 50}
        for n in range(MANY)
    ]


def write_inputs(folder: Path) -> None:
    """Every file that a case reads."""
    _csv(folder / "many.csv", many())
    _jsonl(folder / "many.jsonl", many())
    (folder / "many.json").write_text(json.dumps({"data": {"items": many()[:500]}}), encoding="utf-8")
    (folder / "many.csv.gz").write_bytes(gzip.compress((folder / "many.csv").read_bytes(), mtime=0))
    (folder / "bom.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "many.csv").read_bytes())
    for part in range(4):
        _csv(folder / f"part-{part}.csv", many()[part * 700 : part * 700 + 700])
        packed = "\n".join(json.dumps(row) for row in many()[part * 50 : part * 50 + 50]).encode()
        (folder / f"packed-{part}.jsonl.gz").write_bytes(gzip.compress(packed, mtime=0))
    rows = [f"{n},name {n},{n}" + {17: ",one more", 18: ",,,", 41: ""}.get(n, "") for n in range(SMALL)]
    rows[30] = "30,short"
    (folder / "ragged.csv").write_text("id,name,price\n" + "\n".join(rows) + "\n", encoding="utf-8")
    lines = [json.dumps(row).encode() for row in orders()]
    lines[5], lines[6], lines[20], lines[21] = b'{"id": 5,', b"[1, 2]", b'{"id": NaN}', b'{"id": 1, "id": 2}'
    lines[40], lines[41] = b'{"name": "\xff"}', b""
    (folder / "bad.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    good = ",".join(json.dumps(row) for row in orders()[:30])
    (folder / "cut.json").write_text(f"[{good}, ", encoding="utf-8")
    cut = gzip.compress((folder / "many.jsonl").read_bytes(), compresslevel=0, mtime=0)
    (folder / "cut.jsonl.gz").write_bytes(cut[: len(cut) // 2])
    (folder / "open-quote.csv").write_text('id,name,price\n1,a,1\n2,"open,2\n3,c,3\n', encoding="utf-8")
    (folder / "empty.csv").write_text("id,name,price\n", encoding="utf-8")


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


# --- sources that are used up by a run ---


def generated(count: int = SMALL) -> Iterator[dict[str, Any]]:
    """A generator of orders."""
    yield from orders(count)


async def generated_later(count: int = SMALL) -> AsyncIterator[dict[str, Any]]:
    """An asynchronous generator of orders."""
    for order in orders(count):
        yield order


def breaking(after: int) -> Iterator[dict[str, Any]]:
    """A generator that raises behind so many orders."""
    yield from orders(after)
    raise ConnectionError("the line went dead")


def queued(count: int = SMALL) -> queue.Queue[Any]:
    """A queue of orders, with None at its end."""
    waiting: queue.Queue[Any] = queue.Queue()
    for order in [*orders(count), None]:
        waiting.put(order)
    return waiting


def piped(folder: Path) -> Any:
    """A named pipe that somebody writes orders to, as into standard input."""
    path = folder / "pipe.jsonl"
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    def write() -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(order) + "\n" for order in orders())

    threading.Thread(target=write, daemon=True).start()
    return path
