"""The hook `timestamp`."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from pipe_core.hooks.fields import place_of
from pipe_core.hooks.functions import check_word
from pipe_core.hooks.options import Target
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.entry import Entry
from pipe_core.records.hooks import HookPriority
from pipe_core.records.store import HookStore


class TimestampHook:
    """Notes when a record was processed, as a `datetime` that knows its time zone.

    A sink with columns takes them from the schema: there, let the schema have the field, or name the columns.

    Args:
        field_name: The field to write.
        timezone: ``"UTC"``, or the name of a zone such as ``"Europe/Berlin"``.
        target: ``"record"``, or ``"metadata"``, which other hooks can read and no sink writes.
        as_text: Write ISO 8601 text with microseconds, for fields that are text.
        priority: When it runs among the hooks of its side.

    Raises:
        OptionsError: There is no such time zone or target.
    """

    def __init__(
        self,
        field_name: str = "processed_at",
        timezone: str = "UTC",
        *,
        target: Target = "record",
        as_text: bool = False,
        priority: int = HookPriority.NORMAL,
    ) -> None:
        check_word(target, Target, "TimestampHook: target")
        self.priority = priority
        self._field = field_name
        self._zone = _zone(timezone)
        self._target = target
        self._as_text = as_text

    def __call__(self, entry: Entry, store: HookStore) -> None:
        """Write the time of this call."""
        now = datetime.now(self._zone)
        place_of(entry, self._target)[self._field] = now.isoformat(timespec="microseconds") if self._as_text else now


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC  # needs no database of time zones, which Windows does not have
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise OptionsError(
            f"TimestampHook: there is no time zone '{name}'. Give a name such as 'UTC' or 'Europe/Berlin'; "
            f"where the system has no time zones: pip install tzdata",
            problems={"timezone": "unknown time zone"},
        ) from error
