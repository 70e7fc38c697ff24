"""Dates, times and time zones.

A moment is its wall clock: microseconds since 1970-01-01 without any zone, then `fold`, then the zone as it was
given. So nothing depends on the zone's rules, which may differ between two machines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgpack import ExtType

from pipe_core.codecs import tags
from pipe_core.codecs.reader import Read, Reader
from pipe_core.codecs.writer import Refused, Write, WriteMany, Writer
from pipe_core.kernel.errors import CodecError

_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_ZONE_KEY: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def _zone_parts(zone: tzinfo | None) -> list[Any]:
    """A zone as plain values: nothing, an offset in microseconds with or without a name, or a zoneinfo key."""
    if zone is None:
        return []
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]  # typeshed lacks it; its name is optional
        return [offset // _MICROSECOND, *name]
    if type(zone) is ZoneInfo and zone.key is not None:
        if not _ZONE_KEY.fullmatch(zone.key):
            raise Refused(f"a time zone called {zone.key!r} cannot travel")
        return [zone.key]
    kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
    raise Refused(f"a time zone of type {kind} cannot travel: use datetime.timezone or a zoneinfo.ZoneInfo with a key")


def _zone_of(parts: list[Any]) -> tzinfo | None:
    """The zone that `_zone_parts` took apart."""
    if not parts:
        return None
    if type(parts[0]) is int:
        return timezone(parts[0] * _MICROSECOND, *parts[1:])
    (key,) = parts
    if not _ZONE_KEY.fullmatch(key):
        raise CodecError(f"The frame names a time zone that cannot be one: {key[:80]!r}.")
    return ZoneInfo(key)


def _write_date(writer: Writer, value: date) -> ExtType:
    return ExtType(tags.DATE, writer.pack([value.toordinal() - _EPOCH_DAY]))


def _read_date(reader: Reader, data: bytes) -> date:
    (day,) = reader.items(data)
    return date.fromordinal(day + _EPOCH_DAY)


def _write_dates(writer: Writer, values: list[date]) -> ExtType:
    return ExtType(tags.DATES, writer.pack([value.toordinal() - _EPOCH_DAY for value in values]))


def _read_dates(reader: Reader, data: bytes) -> list[date]:
    return [date.fromordinal(day + _EPOCH_DAY) for day in reader.items(data)]


def _write_datetime(writer: Writer, value: datetime) -> ExtType:
    wall = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
    return ExtType(tags.DATETIME, writer.pack([wall, value.fold, *_zone_parts(value.tzinfo)]))


def _read_datetime(reader: Reader, data: bytes) -> datetime:
    wall, fold, *zone = reader.items(data)
    moment = _EPOCH + timedelta(microseconds=wall)
    return moment.replace(tzinfo=_zone_of(zone), fold=fold) if zone or fold else moment


def _write_datetimes(writer: Writer, values: list[datetime]) -> ExtType | None:
    zone = values[0].tzinfo
    if [value for value in values if value.tzinfo is not zone or value.fold]:
        return None
    epoch = _EPOCH.replace(tzinfo=zone)  # Moments with one zone object differ by what their clocks differ.
    walls = [(value - epoch) // _MICROSECOND for value in values]
    parts = _zone_parts(zone)
    return ExtType(tags.DATETIMES, writer.pack([len(parts), *parts, *walls]))


def _read_datetimes(reader: Reader, data: bytes) -> list[datetime]:
    length, *items = reader.items(data)
    epoch = _EPOCH.replace(tzinfo=_zone_of(items[:length]))
    return [epoch + timedelta(microseconds=wall) for wall in items[length:]]


def _write_time(writer: Writer, value: time) -> ExtType:
    clock = [value.hour, value.minute, value.second, value.microsecond, value.fold]
    return ExtType(tags.TIME, writer.pack([*clock, *_zone_parts(value.tzinfo)]))


def _read_time(reader: Reader, data: bytes) -> time:
    hour, minute, second, microsecond, fold, *zone = reader.items(data)
    return time(hour, minute, second, microsecond, _zone_of(zone), fold=fold)


def _write_timedelta(writer: Writer, value: timedelta) -> ExtType:
    return ExtType(tags.TIMEDELTA, writer.pack([value.days, value.seconds, value.microseconds]))


def _read_timedelta(reader: Reader, data: bytes) -> timedelta:
    days, seconds, microseconds = reader.items(data)
    return timedelta(days, seconds, microseconds)


def _write_zone(writer: Writer, value: tzinfo) -> ExtType:
    return ExtType(tags.TIMEZONE, writer.pack(_zone_parts(value)))


def _read_zone(reader: Reader, data: bytes) -> tzinfo | None:
    return _zone_of(reader.items(data))


SINGLE: Final[Mapping[type, Write]] = {
    date: _write_date,
    datetime: _write_datetime,
    time: _write_time,
    timedelta: _write_timedelta,
    timezone: _write_zone,
    ZoneInfo: _write_zone,
}
MANY: Final[Mapping[type, WriteMany]] = {date: _write_dates, datetime: _write_datetimes}
READ: Final[Mapping[int, Read]] = {
    tags.DATE: _read_date,
    tags.TIME: _read_time,
    tags.DATETIME: _read_datetime,
    tags.TIMEDELTA: _read_timedelta,
    tags.TIMEZONE: _read_zone,
}
READ_MANY: Final[Mapping[int, Read]] = {tags.DATES: _read_dates, tags.DATETIMES: _read_datetimes}
