"""Windows of dates and times, and their pieces."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.dates import DateWindow

days = st.dates(date(1999, 12, 25), date(2004, 3, 5))
moments = st.datetimes(datetime(2023, 12, 30), datetime(2024, 3, 3)).map(lambda one: one.replace(microsecond=0))


def test_a_date_belongs_to_its_window_with_all_its_hours() -> None:
    window = DateWindow("2024-02-28", "2024-02-29")
    assert window.upper == "2024-03-01"
    assert str(window) == "2024-02-28..2024-02-29"
    for inside in ("2024-02-28", "2024-02-29T23:59:59.999999", date(2024, 2, 29), datetime(2024, 2, 28, 1)):
        assert inside in window
    for outside in ("2024-02-27T23:59", "2024-03-01", date(2024, 2, 27), datetime(2024, 3, 1), "no date", None, 3):
        assert outside not in window


def test_a_time_does_not_belong_to_the_window_that_it_ends() -> None:
    window = DateWindow("2024-01-01T00:00", "2024-01-01T12:00")
    assert window.upper == "2024-01-01T12:00"
    assert "2024-01-01T11:59:59" in window
    assert "2024-01-01T12:00" not in window
    zoned = DateWindow("2024-01-01T00:00+01:00", "2024-01-01T12:00+01:00")
    assert "2023-12-31T23:30+00:00" in zoned
    assert "2024-01-01T11:30+00:00" not in zoned


def test_windows_of_dates_as_objects() -> None:
    assert DateWindow.of(date(2024, 1, 1), "2024-01-31") == DateWindow("2024-01-01", "2024-01-31")
    assert DateWindow.of(datetime(2024, 1, 1, 6), datetime(2024, 1, 1, 7)) == DateWindow(
        "2024-01-01T06:00:00", "2024-01-01T07:00:00"
    )
    assert DateWindow.of(None, None) is None
    with pytest.raises(OptionsError, match="start_date is missing") as raised:
        DateWindow.of(None, "2024-01-31")
    assert raised.value.problems == {"start_date": "missing"}


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2024-02-01", "2024-01-31", "ends on 2024-01-31, before it starts on 2024-02-01. Are the two dates swapped"),
        ("01/02/2024", "2024-02-01", "start_date is '01/02/2024', which is no date"),
        ("2024-01-01", "2024-02-30", "end_date is '2024-02-30', which is no date. Write it as 2025-01-31"),
        ("2024-01-01", "", "end_date is ''"),
        ("2024-01-01", "2024-01-02T12:00", "mixes a date and a time"),
        ("2024-01-01", "2024-01-02t12:00", "mixes a date and a time"),
        ("2024-01-01T00:00", "2024-01-02T00:00Z", "time zone on one side only"),
        ("2024-01-01", "9999-12-31", "behind which there is no day"),
    ],
)
def test_what_is_no_window(start: str, end: str, text: str) -> None:
    with pytest.raises(OptionsError, match=text) as raised:
        DateWindow(start, end)
    assert isinstance(raised.value, ValueError)
    assert set(raised.value.problems) <= {"start_date", "end_date"}
    assert raised.value.problems


def test_whatever_stands_between_a_date_and_its_hours_it_is_a_time() -> None:
    for between in "Tt _":
        assert DateWindow(f"2024-01-01{between}00:00", f"2024-01-01{between}12:00").upper.endswith("12:00")


# --- pieces ---


def pieces(window: DateWindow, every: str) -> list[str]:
    return [str(piece) for piece in window.split(every)]


def test_pieces_of_days_weeks_months_and_years() -> None:
    window = DateWindow("2024-01-31", "2024-04-02")
    months = ["2024-01-31..2024-02-28", "2024-02-29..2024-03-30", "2024-03-31..2024-04-02"]
    for every in ("1 month", "1month", "1mo", "1 MONTHS"):
        assert pieces(window, every) == months
    assert pieces(DateWindow("2024-01-01", "2024-01-10"), "1w") == ["2024-01-01..2024-01-07", "2024-01-08..2024-01-10"]
    assert pieces(DateWindow("2024-02-29", "2026-03-01"), "1y")[1] == "2025-02-28..2026-02-27"
    assert pieces(DateWindow("2024-01-01", "2024-01-01"), "1d") == ["2024-01-01..2024-01-01"]
    assert pieces(window, "999999y") == pieces(window, "999999w") == [str(window)]
    assert pieces(DateWindow("9999-12-01", "9999-12-30"), "1 month") == ["9999-12-01..9999-12-30"]


def test_pieces_of_times() -> None:
    window = DateWindow("2024-01-01T22:00", "2024-01-02T01:30")
    assert pieces(window, "2h") == [
        "2024-01-01T22:00:00..2024-01-02T00:00:00",
        "2024-01-02T00:00:00..2024-01-02T01:30:00",
    ]
    with pytest.raises(OptionsError, match="Windows of 2h need times: say the start as 2024-01-01T00:00"):
        pieces(DateWindow("2024-01-01", "2024-01-02"), "2h")


@pytest.mark.parametrize("every", ["", "d", "0d", "-1d", "1.5d", "1m", "every day", "1d 2h", "1234567d"])
def test_what_is_no_length_of_time(every: str) -> None:
    with pytest.raises(OptionsError, match="is no length of time"):
        pieces(DateWindow("2024-01-01", "2024-01-02"), every)


def test_too_many_pieces_are_a_mistake() -> None:
    with pytest.raises(OptionsError, match="More than 100,000 windows of 1d"):
        pieces(DateWindow("1500-01-01", "2500-01-01"), "1d")


@given(days, days, st.integers(1, 40), st.sampled_from(["d", "w", " month", "y"]))
def test_each_day_is_in_exactly_one_piece(one: date, other: date, count: int, unit: str) -> None:
    start, end = sorted((one, other))
    window = DateWindow(start.isoformat(), end.isoformat())
    found = list(window.split(f"{count}{unit}"))
    assert found[0].start == window.start
    assert found[-1].end == window.end
    for before, after in pairwise(found):
        assert before.upper == after.start
    middle = start + (end - start) / 2
    assert sum(middle in piece for piece in found) == 1
    lengths = [date.fromisoformat(piece.upper) - date.fromisoformat(piece.start) for piece in found]
    assert sum(lengths, timedelta()) == end - start + timedelta(days=1)
    longest = {"d": 1, "w": 7, " month": 31, "y": 366}[unit] * count
    assert max(lengths) <= timedelta(days=longest)


@given(moments, moments, st.integers(1, 30))
def test_each_moment_is_in_exactly_one_piece(one: datetime, other: datetime, hours: int) -> None:
    start, end = sorted((one, other))
    window = DateWindow(start.isoformat(), end.isoformat())
    found = list(window.split(f"{hours}h"))
    if start == end:
        assert not found
        return
    assert (found[0].start, found[-1].end) == (start.isoformat(), end.isoformat())
    for before, after in pairwise(found):
        assert before.end == after.start
        assert datetime.fromisoformat(before.end) - datetime.fromisoformat(before.start) == timedelta(hours=hours)
    assert sum(start + (end - start) / 2 in piece for piece in found) == 1
