"""The status of an event: the one of every task, by its member or by its name."""

from __future__ import annotations

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion
from pipe_core.runtime.ledger import TaskStatus

EventStatus = TaskStatus


def as_status(value: TaskStatus | str) -> TaskStatus:
    """The status that *value* is or names, such as ``"pending"``.

    Raises:
        OptionsError: There is no such status. It is a `ValueError` too.
    """
    try:
        return TaskStatus(value)
    except ValueError:
        names = [status.value for status in TaskStatus]
        guess = suggestion(value, names) if isinstance(value, str) else ""
        raise OptionsError(
            f"There is no status {value!r}.{guess} The seven statuses are {', '.join(names)}.",
            problems={"status": f"{value!r} is none of {', '.join(names)}"},
        ) from None
