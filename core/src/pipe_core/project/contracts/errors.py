"""What does not fit a contract, and the error for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipe_core.project.errors import ProjectError

_MOST: Final = 200
"""Characters of a value that messages show."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a record does not fit.

    Attributes:
        field: The field, inner ones behind dots; None where it is about the record as a whole.
        value: What is there.
        reason: What is wrong with it.
    """

    field: str | None
    value: Any
    reason: str

    @property
    def top(self) -> str | None:
        """The field of the record that it is in."""
        return None if self.field is None else self.field.partition(".")[0]

    def __str__(self) -> str:
        what = "it" if self.field is None else f"the field '{self.field}'"
        return f"{what} is {shown(self.value)}: {self.reason}"


class ContractError(ProjectError, ValueError):
    """Records are not as a contract says.

    Attributes:
        title: What the contract is of: ``Node 'clean', its input 'orders'``.
        node: The node; empty for a contract of a data set.
        position: The number of the first record that does not fit, from 0 on.
        field: The field that is wrong, inner ones behind dots; None where it is about the record as a whole.
        value: What is there.
        reasons: All that is wrong with the record.
        further: How many more records do not fit.
    """

    def __init__(
        self,
        message: str,
        *,
        title: str,
        node: str = "",
        position: int | None = None,
        field: str | None = None,
        value: Any = None,
        reasons: Sequence[str] = (),
        further: int = 0,
    ) -> None:
        super().__init__(message)
        self.title = title
        self.node = node
        self.position = position
        self.field = field
        self.value = value
        self.reasons = tuple(reasons)
        self.further = further


def shown(value: Any) -> str:
    """A value as messages have it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
