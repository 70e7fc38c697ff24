"""Kinds of values in project files: what a field takes, and what stands where ``${NAME}`` stood."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, PlainValidator, Tag


class Said(str):
    """Text from the environment, a default or the command line, which is read as its field wants it."""

    __slots__ = ()


AVAILABLE_NOW: Final = "available_now"
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_MOST_DIGITS: Final = 300


def as_said(value: Any) -> Any:
    """*value* with every `Said` in it as YAML would read the word: a number, true or false, or text."""
    if isinstance(value, Said):
        return _word(str(value))
    if isinstance(value, Mapping):
        return {key: as_said(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_said(inner) for inner in value]
    return value


def as_text(value: Any) -> Any:
    """*value* with every `Said` in it as plain text."""
    if isinstance(value, Said):
        return str(value)
    if isinstance(value, Mapping):
        return {key: as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(inner) for inner in value]
    return value


def _word(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
        return text
    plain = text.lstrip("-+")
    if plain.isdigit():
        return int(text) if plain == "0" or plain[0] != "0" else text
    return float(text)


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"it must be a number, not {str(value).lower()}")
    if isinstance(value, str) and not isinstance(value, Said):
        raise ValueError(f"it must be a number, not the text {value!r}")
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, Said) and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError(f"it must be true or false, not {value!r}")
    return value


def _one_or_many(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | Mapping) else value


def _iso(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date: write it as 2025-01-31")
    text = str(value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is no date: write it as 2025-01-31") from None
    return text


def _selection(value: Any) -> Any:
    if isinstance(value, str) and value:
        return str(value)
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return as_said(value)
    raise ValueError(f"{value!r} selects nothing. Write a name, or {{name: loky, max_workers: 2}}")


def _function(value: Any) -> Any:
    if callable(value):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("name a function: pkg.module.function or file.py:function")
    return str(value)


def _trigger(value: Any) -> Any:
    if value == AVAILABLE_NOW:
        return AVAILABLE_NOW
    try:
        seconds = float(_no_flag(value))
    except (TypeError, ValueError):
        raise ValueError(f"it must be a number of seconds, or {AVAILABLE_NOW}") from None
    if not 0 < seconds < math.inf:
        raise ValueError("it must be more than 0 seconds")
    return seconds


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it cannot hold NUL")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_no_nul)]
Count = Annotated[int, Field(ge=0), BeforeValidator(_no_flag)]
"""A whole number from 0 on."""
Positive = Annotated[int, Field(ge=1), BeforeValidator(_no_flag)]
"""A whole number from 1 on."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_flag)]
"""More than 0 seconds."""
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_flag)]
"""More than 0 of something."""
Delay = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_flag)]
Factor = Annotated[float, Field(ge=1, allow_inf_nan=False), BeforeValidator(_no_flag)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_no_flag)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many)]
"""One name, or a list of them."""
Iso = Annotated[str, BeforeValidator(_iso)]
"""A date or a time as ISO 8601 has it."""
Plain = Annotated[Any, BeforeValidator(as_text)]
Options = Annotated[dict[str, Any], BeforeValidator(as_text)]
Parameters = Annotated[dict[str, Any], BeforeValidator(as_said)]
Selection = Annotated[str | dict[str, Any], BeforeValidator(_selection)]
"""The name of a plugin, or a mapping of its name and options."""

Function = Annotated[str | Callable[..., Any], PlainValidator(_function)]
"""A reference to a function, or the function itself."""
Trigger = Annotated[float | Literal["available_now"], PlainValidator(_trigger)]
"""Seconds between micro-batches, or one go through what there is."""

PLAIN: Final = "~plain"
FIELDS: Final = "~fields"
"""Marks in the places of pydantic's errors: which of two shapes a value was taken for."""


def _shape(value: Any) -> str:
    return FIELDS if isinstance(value, Mapping | BaseModel) else PLAIN


BY_SHAPE: Final = Discriminator(_shape)
"""Chooses between `AS_PLAIN` and `AS_FIELDS`, so that what is wrong with a value is told once."""
AS_PLAIN: Final = Tag(PLAIN)
AS_FIELDS: Final = Tag(FIELDS)

Metrics = Annotated[Annotated[Names, AS_PLAIN] | Annotated[Options, AS_FIELDS], BY_SHAPE]
