"""Events as plain data and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from weakref import WeakValueDictionary

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from pipe_core.kernel.errors import CodecError, OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.runtime.ledger import TaskStatus
from pipe_core.tasks.error_data import error_from_dict, error_to_dict
from pipe_core.tasks.execution import OPEN, Ending, Unset
from pipe_core.tasks.status import as_status

if TYPE_CHECKING:
    from pipe_core.tasks.event import Event

E = TypeVar("E", bound="Event")

CLASS = "event_class"
EXECUTION = "execution"

_SAID = OPEN._fields[:4]

_classes: WeakValueDictionary[str, type[Event]] = WeakValueDictionary()
"""Every subclass of `Event` that was defined here, by its full name; of those with one name the latest."""


def class_name(kind: type[Event]) -> str:
    """What data calls *kind*."""
    return f"{kind.__module__}.{kind.__qualname__}"


def register(kind: type[Event]) -> None:
    """Let `event_from_dict` find *kind*."""
    _classes[class_name(kind)] = kind


def event_to_dict(event: Event, mode: Literal["python", "json"]) -> dict[str, Any]:
    """The event's fields, its class by name, and its execution.

    Raises:
        CodecError: ``mode="json"``, and the value of a field cannot be written down so.
        OptionsError: *mode* is neither.
    """
    if mode not in ("python", "json"):
        raise OptionsError(f"mode is {mode!r}, but must be 'python' or 'json'.", problems={"mode": "unknown"})
    try:
        data = event.model_dump(mode=mode, round_trip=True)
    except PydanticSerializationError as error:
        raise CodecError(
            f"{type(event).__name__} {event.id} has a field that JSON cannot hold: {error} "
            'Use mode="python", or give the field a serialiser of its own.'
        ) from error
    data[CLASS] = class_name(type(event))
    status, attempt, ending = event._record.facts()
    data[EXECUTION] = _execution_to_dict(status, attempt, ending, mode)
    return data


def _execution_to_dict(status: TaskStatus, attempt: int, ending: Ending, mode: str) -> dict[str, Any]:
    data: dict[str, Any] = {"status": status.value, "attempt": attempt}
    data |= {name: value for name, value in zip(_SAID, ending, strict=False) if value is not Unset}
    if ending.streamed:
        data["streamed"] = True
    if isinstance(ending.error, BaseException):
        data["error"] = error_to_dict(ending.error)
    if mode == "json" and "response" in data:
        data["response"] = _jsonable(ending.response)
    return data


def _jsonable(value: Any) -> Any:
    try:
        return to_jsonable_python(value, fallback=_marker)
    except Exception:  # a circle, bytes that are no text, or serialisers of the user's
        return _marker(value)


def _marker(value: Any) -> str:
    return f"<unserialisable {type(value).__module__}.{type(value).__qualname__}>"


def event_from_dict(expected: type[E], data: Mapping[str, Any]) -> E:
    """The event that *data* describes: of the class that it names, which must be *expected* or a subclass.

    Raises:
        CodecError: The data is damaged, or names a class that is not defined here.
    """
    fields = dict(data)
    execution = fields.pop(EXECUTION, None)
    kind = _named(expected, fields.pop(CLASS, None))
    try:
        event = kind.model_validate(fields, strict=False, by_alias=True, by_name=True)
    except ValidationError as error:
        path = ".".join(map(str, error.errors()[0]["loc"]))
        raise CodecError(f"The data does not fit {kind.__name__}: {error}", path=path) from error
    if execution is not None:
        event._record.restore(*_facts(execution))
    return event


def _named(expected: type[E], name: Any) -> type[E]:
    if name is None or name == class_name(expected):
        return expected
    kind = _classes.get(name) if isinstance(name, str) else None
    if kind is None:
        guess = suggestion(name, _classes) if isinstance(name, str) else ""
        raise CodecError(
            f"No class of events named {name!r} is defined here.{guess} Nothing is imported because data names it: "
            "import the module that defines the class first.",
            path=CLASS,
        )
    if not issubclass(kind, expected):
        raise CodecError(f"The data is of a {kind.__name__}, which is no {expected.__name__}.", path=CLASS)
    return kind


def _facts(data: Any) -> tuple[TaskStatus, int, Ending]:
    """What `EventRecord.restore` takes, out of the data of an execution."""
    if not isinstance(data, Mapping) or "status" not in data:
        raise CodecError("The execution of an event is a mapping with a 'status'.", path=EXECUTION)
    known = {"status", "attempt", *Ending._fields}
    if unknown := [key for key in data if key not in known]:
        raise CodecError(f"The execution of an event has no {unknown[0]!r}.", path=f"{EXECUTION}.{unknown[0]}")
    try:
        status = as_status(data["status"])
    except OptionsError as error:
        raise CodecError(str(error), path=f"{EXECUTION}.status") from None
    attempt = data.get("attempt", 1)
    _check(type(attempt) is int and attempt > 0, "attempt", "a whole number from 1 on", attempt)
    ending = OPEN if not status.final else Ending(*[_part(name, data.get(name, Unset)) for name in _SAID])
    streamed = data.get("streamed", False)
    _check(
        streamed is False or (streamed is True and isinstance(ending.response, list)),
        "streamed",
        "true only for a list",
        streamed,
    )
    return status, attempt, ending._replace(streamed=streamed)


def _part(name: str, value: Any) -> Any:
    if name == "response" or value is Unset:
        return value
    if name == "error":
        return value if value is None else error_from_dict(value)
    if name == "duration":
        good = type(value) in (int, float) and value >= 0 and math.isfinite(value)
        _check(good, name, "a number of seconds from 0 on", value)
    else:
        _check(isinstance(value, bool), name, "true or false", value)
    return value


def _check(good: bool, name: str, expected: str, value: Any) -> None:
    if not good:
        raise CodecError(f"{name} is {value!r}, but must be {expected}.", path=f"{EXECUTION}.{name}")
