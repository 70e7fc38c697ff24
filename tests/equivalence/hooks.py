"""Hooks of every kind. Each does a little of everything, by the number of the record."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Callable
from typing import Any

from pipe_core import BaseHook, Entry, HookPriority, HookStore

Acting = Callable[[Entry], list[Entry]]


def data_of(side: str, entry: Entry) -> Any:
    """The record as it is on that side of validation."""
    return entry["raw_data"] if side == "pre" else entry["validated_data"]


def changing(side: str) -> Acting:
    def act(entry: Entry) -> list[Entry]:
        data = data_of(side, entry)
        data["name"] = data["name"].upper()
        entry.metadata["seen"] = data["id"]
        return [entry]

    return act


def dropping(side: str) -> Acting:
    return lambda entry: [] if data_of(side, entry)["id"] % 5 == 0 else [entry]


def expanding(side: str) -> Acting:
    def act(entry: Entry) -> list[Entry]:
        if data_of(side, entry)["id"] % 7:
            return [entry]
        twins = [entry.copy(), entry.copy()]
        for number, twin in enumerate(twins):
            data_of(side, twin)["name"] += f" twin {number}"
        return [entry, *twins]

    return act


def raising(side: str) -> Acting:
    def act(entry: Entry) -> list[Entry]:
        data = data_of(side, entry)
        data["name"] += "!"
        if data["id"] % 11 == 3:
            raise ValueError(f"no {data['id']}")
        return [entry]

    return act


ACTIONS = {"change": changing, "drop": dropping, "fan-out": expanding, "raise": raising}


def entry_hook(act: Acting) -> Any:
    def hook(entry: Entry, store: HookStore) -> list[Entry]:
        return act(entry)

    return hook


def async_entry_hook(act: Acting) -> Any:
    async def hook(entry: Entry, store: HookStore) -> list[Entry]:
        await asyncio.sleep(0)
        return act(entry)

    return hook


def chunk_hook(act: Acting) -> Any:
    class Chunked(BaseHook):
        def execute(self, entries: list[Entry], store: HookStore) -> list[Entry]:
            return [*itertools.chain.from_iterable(map(act, entries))]

    return Chunked()


def async_chunk_hook(act: Acting) -> Any:
    class Chunked(BaseHook):
        async def execute(self, entries: list[Entry], store: HookStore) -> list[Entry]:
            await asyncio.sleep(0)
            return [*itertools.chain.from_iterable(map(act, entries))]

    return Chunked()


KINDS = {
    "entry": entry_hook,
    "async entry": async_entry_hook,
    "chunk": chunk_hook,
    "async chunk": async_chunk_hook,
}


# --- other ways to write one ---


def scaled(factor: int, entry: Entry, store: HookStore) -> None:
    entry["raw_data"]["id"] *= factor


class First:
    """An object that is called, with a priority that puts it first."""

    priority = HookPriority.VERY_HIGH

    def __call__(self, entry: Entry, store: HookStore) -> None:
        entry.raw_data["first"] = True


class DuckTyped:
    """No BaseHook, but it has `execute`."""

    def setup(self, store: HookStore) -> None:
        store.prefix = ">"

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            entry.raw_data["name"] = store.prefix + entry.raw_data["name"]
            entry.raw_data["order"] = "first" in entry.raw_data


WAYS = (
    functools.partial(scaled, 3),
    lambda entry, store: entry.raw_data.setdefault("lambda", 1) and None,
    DuckTyped,
    First(),
)


def last_digit(entry: Entry, store: HookStore) -> None:
    entry.raw_data["k"] = entry.raw_data["id"] % 10


class Numbered(BaseHook):
    """Uses the place of its entries in a chunk, which it says."""

    chunk_size = 8

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for place, entry in enumerate(entries):
            entry.raw_data["name"] = f"{place} of {len(entries)}"


class Once(BaseHook):
    """Cannot be run again for its entries: all of its chunk fails."""

    chunk_size = 6
    repeatable = False

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            if entry.raw_data["id"] in (20, 45):
                raise RuntimeError(f"stuck at {entry.raw_data['id']}")


class Positioned(BaseHook):
    """Reads positions, which it says."""

    needs_position = True

    def execute(self, entries: list[Entry], store: HookStore) -> None:
        for entry in entries:
            entry.raw_data["name"] = f"{entry.position} {entry.id.split(':', 1)[1]}"


class RunningTotal(BaseHook):
    """Depends on the whole run: drops what would go beyond a sum, fails what is odd there."""

    scope = "run"
    may_fail = True
    refusal = "the budget is spent"

    def __init__(self) -> None:
        self.spent = 0

    def begin(self) -> None:
        self.spent = 0

    def value(self, entry: Entry, store: HookStore) -> int:
        return int(entry.validated_data["id"])

    def decide(self, value: int, position: int) -> Any:
        if self.spent + value > 500:
            return "fail" if position % 2 else "drop"
        self.spent += value
        return "keep"


def marking(entry: Entry, store: HookStore) -> None:
    """Adds keys behind the schema's fields."""
    entry["validated_data"]["flag"] = entry["validated_data"]["id"] % 2 == 0
    entry["validated_data"]["more"] = {"a": [1, 2.5, None]}


def replacing(entry: Entry, store: HookStore) -> None:
    """Puts other data in place of the validated ones."""
    if entry.validated_data["id"] % 3 == 0:
        entry["validated_data"] = {"only": entry.validated_data["id"]}


class Opaque:
    def __repr__(self) -> str:
        return "<opaque>"


def unwritable(entry: Entry, store: HookStore) -> None:
    """Leaves something that no file can hold."""
    if entry.validated_data["id"] in (4, 44):
        entry.validated_data["more"] = Opaque()


# --- hooks that break their contract ---


def reads_position(entry: Entry, store: HookStore) -> None:
    if entry.raw_data["id"] == 25:
        print(entry.position)


def returns_a_number(entry: Entry, store: HookStore) -> Any:
    return 5 if entry.raw_data["id"] == 25 else None


def returns_it_twice(entry: Entry, store: HookStore) -> Any:
    return [entry, entry] if entry.raw_data["id"] == 25 else None


def makes_it_up(entry: Entry, store: HookStore) -> Any:
    return [entry, Entry({"id": -1})] if entry.raw_data["id"] == 25 else None


class SetupFails(BaseHook):
    def setup(self, store: HookStore) -> None:
        raise ConnectionError("no database")


class Odd(Exception):
    """Two arguments: no pickle of it can be opened."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


RAISED: dict[int, Callable[[], BaseException]] = {
    1: KeyboardInterrupt,
    2: lambda: SystemExit(3),
    3: lambda: Odd(1, 2),
    4: Mute,
    5: lambda: StopIteration("over"),
    6: GeneratorExit,
    7: asyncio.CancelledError,
    8: lambda: TimeoutError("late"),
    9: lambda: KeyError("key"),
    10: lambda: ValueError(),
    11: lambda: BaseException("base"),
    12: lambda: ExceptionGroup("many", [ValueError("one")]),
    13: lambda: RecursionError("deep"),
    14: lambda: MemoryError("full"),
}


def raises_anything(entry: Entry, store: HookStore) -> None:
    if (make := RAISED.get(entry.raw_data["id"])) is not None:
        raise make()


async def raises_anything_later(entry: Entry, store: HookStore) -> None:
    if (make := RAISED.get(entry.raw_data["id"])) is not None:
        raise make()
