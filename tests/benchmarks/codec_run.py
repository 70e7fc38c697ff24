"""Codecs over 200 orders, encoded and decoded: ``codec_run.py ROUNDS``.

Prints JSON: sizes, and the seconds of each round.
"""

import json
import pickle
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from orders import orders

from pipe_core import get_codec

COUNT = 200
REPEATS = 20
Way = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def ways() -> dict[str, Way]:
    """The codecs by name: encode and decode."""
    plain, packed = get_codec("msgpack"), get_codec("msgpack", compression="lz4")
    return {
        "pickle": (partial(pickle.dumps, protocol=5), pickle.loads),
        "msgpack": (plain.encode, plain.decode),
        "msgpack + lz4": (packed.encode, packed.decode),
        "json": (json.dumps, json.loads),
    }


def seconds(run: Callable[[Any], Any], value: Any) -> float:
    """What one call takes, as the mean of some."""
    started = time.perf_counter()
    for _ in range(REPEATS):
        run(value)
    return (time.perf_counter() - started) / REPEATS


def race(records: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    """Every codec once, then every codec again, and so on."""
    found: dict[str, Any] = {}
    for name, (encode, decode) in ways().items():
        data = encode(records)
        if decode(data) != records:
            raise SystemExit(f"{name} gave back something else")
        found[name] = {"bytes": len(data), "encode": [], "decode": []}
    for _ in range(rounds):
        for name, (encode, decode) in ways().items():
            found[name]["encode"].append(seconds(encode, records))
            found[name]["decode"].append(seconds(decode, encode(records)))
    return found


if __name__ == "__main__":
    typed = list(orders(COUNT))
    texts = [{key: str(value) for key, value in order.items()} for order in typed]
    rounds = int(sys.argv[1])
    print(json.dumps({"as read from CSV": race(texts, rounds), "as read from JSON lines": race(typed, rounds)}))
