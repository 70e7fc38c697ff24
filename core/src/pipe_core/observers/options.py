"""Options of the observers that come with core."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ProgressOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``progress``.

    Attributes:
        every: Seconds between two lines, where standard error is no terminal.
        refresh: How often a second the bar is drawn, where it is one.
    """

    every: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    refresh: float = Field(default=8.0, gt=0, le=60, allow_inf_nan=False)


class LogOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of ``log``.

    Attributes:
        failures: The level of messages about rejected records.
        per_second: At most so many of them in a second; of the others only the number is told.
    """

    failures: Literal["debug", "warning"] = "warning"
    per_second: int = Field(default=5, ge=1)
