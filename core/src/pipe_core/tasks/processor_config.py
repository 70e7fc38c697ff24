"""What may be said of a processor and of its events, checked."""

from __future__ import annotations

from typing import Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.tasks.book import OnFull
from pipe_core.tasks.event import Event

_POLICIES: Final = get_args(OnFull)


class ProcessorConfig(BaseModel):
    """What `Processor.create` and ``processor_config`` of an `EventExecutor` take.

    Attributes:
        queue_capacity: How many events may start in each interval, 1 to 10,000.
        capacity_refresh_time: The interval, 0.01 to 3,600 seconds.
        concurrency_limit: How many events run at once.
        max_queue_size: How many events may wait. Those that were there before the processor do not count.
        max_denial_tracking: Of how many events it is counted how often they were denied.
        max_denials: How many denials in a row abort an event; None for any number.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    queue_capacity: int = Field(default=100, ge=1, le=10_000)
    capacity_refresh_time: float = Field(default=1.0, ge=0.01, le=3_600, allow_inf_nan=False)
    concurrency_limit: int = Field(default=100, ge=1)
    max_queue_size: int = Field(default=1_000, ge=1)
    max_denial_tracking: int = Field(default=10_000, ge=1)
    max_denials: int | None = Field(default=None, ge=1)


def check_policy(on_full: Any) -> None:
    """Raises `OptionsError` unless it is one of the policies."""
    if on_full not in _POLICIES:
        raise OptionsError(
            f"on_full is one of 'wait', 'raise' and 'drop_oldest', not {on_full!r}.", problems={"on_full": "unknown"}
        )


def checked_config(config: Any) -> ProcessorConfig:
    """Raises `OptionsError`, with everything that is wrong."""
    if not isinstance(config, dict):
        raise OptionsError(f"processor_config wants a dict, such as {{'queue_capacity': 100}}, not {config!r}.")
    try:
        return ProcessorConfig(**config)
    except ValidationError as error:
        problems = {str(one["loc"][0]): _problem(one["type"], one["msg"], one["loc"][0]) for one in error.errors()}
        known = ", ".join(ProcessorConfig.model_fields)
        text = " ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise OptionsError(f"Wrong processor_config: {text} Its keys: {known}.", problems=problems) from None


def _problem(kind: str, message: str, key: int | str) -> str:
    if kind == "extra_forbidden":
        return f"there is no such key.{suggestion(str(key), ProcessorConfig.model_fields)}"
    return f"{message}."


def check_type(event: Any, kind: type[Event], *, strict: bool = False) -> None:
    """Raises `TypeError` unless *event* is a *kind*, and with *strict* none of its subclasses."""
    if type(event) is kind or (isinstance(event, kind) and not strict):
        return
    raise TypeError(
        f"Only {kind.__name__} events are taken here{' (strict_event_type)' if strict else ''}, "
        f"not a {type(event).__name__}."
    )
