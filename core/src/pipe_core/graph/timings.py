"""How long the calls of nodes took in a former run: what an estimate is made of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipe_core.graph.recording import NodeCall, NodeTimes, RunRecorder
from pipe_core.kernel.errors import OptionsError

Timed = RunRecorder | str | os.PathLike[str] | Mapping[str, float | NodeTimes]
"""What `Pipeline.plan` takes as timings."""


class Timings:
    """What is known of each node, by its name behind the names of the pipelines inside of which it is.

    Args:
        seconds: Of a call that has run to its end.
        items: Of a map, how many items it had.
    """

    def __init__(self, seconds: Mapping[str, float], items: Mapping[str, float] | None = None) -> None:
        self._seconds = dict(seconds)
        self._items = dict(items or {})

    @classmethod
    def of(cls, given: Any) -> Timings:
        """What is known from *given*: see `Pipeline.plan`.

        Raises:
            OptionsError: It is nothing of that kind.
        """
        if isinstance(given, RunRecorder):
            return _of_calls(given.calls)
        if isinstance(given, str | os.PathLike):
            return _of_calls(_read(Path(given)))
        if isinstance(given, Mapping):
            return cls({name: found for name, one in given.items() if (found := _mean(name, one)) is not None})
        raise OptionsError(
            f"timings want a RunRecorder of a former run, the path of a file that one has saved, or seconds by node, "
            f"not {given!r}."
        )

    def seconds(self, path: Sequence[str]) -> float | None:
        """How long a call of the node took, in the middle; None where none has ended well."""
        return self._seconds.get("/".join(path))

    def items(self, path: Sequence[str]) -> float | None:
        """How many items the pipeline was run for each time, in the middle; None where it was none of a map."""
        return self._items.get("/".join(path))


def _mean(name: object, given: object) -> float | None:
    if isinstance(given, NodeTimes):
        return given.mean if given.count else None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < float("inf"):
        raise OptionsError(f"timings want seconds for the node '{name}', not {given!r}.")
    return float(given)


def _of_calls(calls: Sequence[NodeCall]) -> Timings:
    lasted: dict[str, list[float]] = {}
    around: dict[str, set[tuple[int, ...]]] = {}
    for call in calls:
        if not (call.cached or call.failed):
            lasted.setdefault(call.node, []).append(call.end - call.start)
        if "/" in call.node:
            around.setdefault(call.node.rpartition("/")[0], set()).add(call.item)
    items = {path: len(found) / len({item[:-1] for item in found}) for path, found in around.items() if all(found)}
    return Timings({name: sum(each) / len(each) for name, each in lasted.items()}, items)


def save(calls: Sequence[NodeCall], path: Path) -> None:
    """Write *calls* as JSON."""
    path.write_text(json.dumps({"calls": [one._asdict() for one in calls]}) + "\n", "utf-8")


def _read(path: Path) -> list[NodeCall]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise OptionsError(f"The timings in '{path}' cannot be read: {error.strerror or error}.") from error
    try:
        found = json.loads(text)["calls"]
        calls = [NodeCall(**{**one, "item": tuple(one["item"])}) for one in found]
        if not all(one.end - one.start >= 0 and one.node.strip() for one in calls):
            raise ValueError("a call has no name, or ends before it begins")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OptionsError(
            f"'{path}' holds no timings: {type(error).__name__}: {error}. A RunRecorder writes such a file: "
            "recorder.save(path)."
        ) from error
    return calls
