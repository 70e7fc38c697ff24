"""What a node's function takes beside its inputs: known from its signature, once, and never from what a call raises."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from pipe_core.graph.annotations import hints_of

DATES: Final = ("start_date", "end_date")
ML_CONTEXT: Final = "ml_context"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function may be given by keyword, and how many inputs it has room for.

    Attributes:
        dates: For each of ``start_date`` and ``end_date`` that it takes, the class that it wants: `str`, `date` or
            `datetime`.
        needed: Those of them that it cannot be called without.
        ml_context: Whether it takes ``ml_context``.
        least: How many inputs it wants at least.
        most: How many it takes; None: any number.
        is_async: Whether its result is awaited.
        needs_context: Whether it cannot be called without ``ml_context``.
        room: How many inputs it takes before the next one would be taken for a date or for ``ml_context``, and that
            parameter's name; None where that cannot be.
    """

    dates: dict[str, type]
    needed: frozenset[str]
    ml_context: bool
    least: int
    most: int | None
    is_async: bool = False
    needs_context: bool = False
    room: tuple[int, str] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature:
        """The signature of *function*. One that does not tell its own takes inputs and nothing else."""
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # not whether it can be called, but how
        )
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return cls({}, frozenset(), False, 0, None, is_async)
        any_name = any(one.kind is one.VAR_KEYWORD for one in parameters)
        named = {one.name: one for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
        ours = {name: one for name, one in named.items() if name in (*DATES, ML_CONTEXT)}
        places = [
            one
            for one in parameters
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.name not in ours
        ]
        endless = any(one.kind is one.VAR_POSITIONAL for one in parameters)
        hints = hints_of(function) if ours else {}
        return cls(
            dates={name: _kind(hints.get(name)) for name in DATES if name in ours or any_name},
            needed=frozenset(name for name in DATES if name in ours and ours[name].default is inspect.Parameter.empty),
            ml_context=ML_CONTEXT in ours or any_name,
            least=sum(one.default is inspect.Parameter.empty for one in places),
            most=None if endless else len(places),
            is_async=is_async,
            needs_context=ML_CONTEXT in ours and ours[ML_CONTEXT].default is inspect.Parameter.empty,
            room=_room(parameters, ours),
        )

    @property
    def needs_dates(self) -> bool:
        """Whether it cannot be called without dates."""
        return bool(self.needed)

    def given_dates(self, start_date: str | None, end_date: str | None) -> dict[str, Any]:
        """The dates that it takes, as it wants them. What is None is left out where it has a default of its own."""
        if not self.dates:
            return {}
        said = dict(zip(DATES, (start_date, end_date), strict=True))
        return {
            name: None if (text := said[name]) is None else _as(kind, text)
            for name, kind in self.dates.items()
            if said[name] is not None or name in self.needed
        }


def _room(parameters: Iterable[inspect.Parameter], ours: Container[str]) -> tuple[int, str] | None:
    first: tuple[int, str] | None = None
    for place, one in enumerate(parameters):
        if one.kind is one.VAR_POSITIONAL:
            return first
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD):
            if first is not None and one.name not in ours:
                return first
            if first is None and one.name in ours and one.kind is one.POSITIONAL_OR_KEYWORD:
                first = place, one.name
    return None


def _kind(hint: Any) -> type:
    """`date` or `datetime` where that is what the annotation says, alone or with None; else `str`."""
    choices = typing.get_args(hint) or (hint,)
    return next((one for one in choices if one in (date, datetime)), str)


def _as(kind: type, text: str) -> Any:
    if kind is date:
        return datetime.fromisoformat(text).date()
    return datetime.fromisoformat(text) if kind is datetime else text
