"""The floor: ``peer_floor.py SOURCE TARGET ERRORS``, what is left when everything but the work itself is taken away.

A loop tuned by hand for this schema and these files, around pydantic-core. It writes the bytes that `pipe` writes, to
both files, and commits alike (a file beside the target, fsync, rename). It knows no hooks, no executors, no quoted
line ends, no limits and no broken files, and says nothing about its run.
"""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from schema import Order

BLOCK = 128 * 1024
BATCH = 100
Batch = list[dict[str, Any]]


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines."""
    rest = b""
    while data := file.read(BLOCK):
        data = rest + data
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        yield data[:cut]
    if rest:
        yield rest


def csv_batches(file: BinaryIO) -> Iterator[Batch]:
    """Records in batches that stay in the processor's cache."""
    file.readline()
    for block in blocks(file):
        reader = csv.reader(io.StringIO(block.decode(), newline=""))
        while rows := list(islice(reader, BATCH)):
            yield [
                {
                    "order_id": order_id,
                    "customer": customer,
                    "email": email,
                    "age": age,
                    "amount": amount,
                    "ordered_on": ordered_on,
                    "status": status,
                    "gift": gift,
                }
                for order_id, customer, email, age, amount, ordered_on, status, gift in rows
            ]


def jsonl_batches(file: BinaryIO) -> Iterator[Batch]:
    """The same out of JSON lines."""
    for block in blocks(file):
        lines = iter(block.splitlines())
        while batch := list(map(from_json, islice(lines, BATCH))):
            yield batch


def error_row(position: int, error: ValidationError, record: dict[str, Any]) -> bytes:
    """Why a record was rejected, as `pipe` says it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in found]
    row = {"position": position, "phase": "validation", "errors": errors, "raw": record, "data": record}
    return to_json({**row, "hook": None, "attempt": 1})


def convert(batches: Iterator[Batch], good: BinaryIO, bad: BinaryIO) -> None:
    """Validate and write batch by batch."""
    adapter = TypeAdapter(Order)
    validate, row = adapter.validator.validate_python, adapter.serializer.to_json
    position = 0
    for batch in batches:
        models: list[Order] = []
        failed = 0
        left = iter(batch)
        while True:
            try:
                models.extend(map(validate, left))
                break
            except ValidationError as error:
                i = len(models) + failed
                failed += 1
                bad.write(error_row(position + i, error, batch[i]) + b"\n")
        if models:
            good.write(b"\n".join(map(row, models)) + b"\n")
        position += len(batch)


def run(source: str, target: str, errors: str) -> None:
    """The whole of it."""
    read: Callable[[BinaryIO], Iterator[Batch]] = csv_batches if source.endswith(".csv") else jsonl_batches
    parts = {errors: f"{errors}.part", target: f"{target}.part"}
    with (
        open(source, "rb", buffering=0) as file,
        open(parts[target], "wb", BLOCK) as good,
        open(parts[errors], "wb", BLOCK) as bad,
    ):
        convert(read(file), good, bad)
        for written in (bad, good):
            written.flush()
            os.fsync(written.fileno())
    for path, part in parts.items():
        os.replace(part, path)
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


if __name__ == "__main__":
    run(*sys.argv[1:4])
