"""The loop that everybody writes first: ``peer_plain.py SOURCE TARGET ERRORS``.

One record at a time: read, validate, write, and for a bad one the reasons and the record to another file. It neither
waits for the disk nor keeps an old target safe from a run that fails.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from pydantic import ValidationError
from schema import Order


def csv_records(file: TextIO) -> Iterator[dict[str, Any]]:
    """The records of CSV."""
    return iter(csv.DictReader(file))


def read(path: str) -> Iterator[dict[str, Any]]:
    """The records of a file of CSV or JSON lines."""
    with open(path, newline="", encoding="utf-8") as file:
        if path.endswith(".csv"):
            yield from csv_records(file)
        else:
            yield from map(json.loads, file)


def convert(records: Iterable[dict[str, Any]], target: str, errors: str) -> None:
    """Validate and write every record."""
    with open(target, "w", encoding="utf-8") as good, open(errors, "w", encoding="utf-8") as bad:
        for position, record in enumerate(records):
            try:
                order = Order.model_validate(record)
            except ValidationError as error:
                reasons = error.errors(include_url=False, include_context=False, include_input=False)
                bad.write(json.dumps({"position": position, "errors": reasons, "raw": record}) + "\n")
            else:
                good.write(order.model_dump_json() + "\n")


if __name__ == "__main__":
    source, target, errors = sys.argv[1:4]
    convert(read(source), target, errors)
