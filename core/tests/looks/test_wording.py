from __future__ import annotations

import pytest

from pipe_core.looks.wording import duration, foreign, one_line, percent, rate, several


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.0351, "35.1 ms"), (0.9999, "1 s"), (2.414, "2.41 s"), (59.96, "1 min 00 s"), (65, "1 min 05 s"),
     (3599.6, "1 h 00 min"), (11220, "3 h 07 min")],
)  # fmt: skip
def test_durations_have_the_unit_that_people_would_choose(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "0 %"), (1, 3, "33.3 %"), (1, 2, "50 %"), (1, 10**9, "<0.1 %"), (10**9 - 1, 10**9, ">99.9 %"),
     (3, 3, "100 %")],
)  # fmt: skip
def test_shares_are_never_rounded_to_nothing_or_everything(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words


def test_rates_keep_their_digits_where_they_are_small() -> None:
    assert [rate(0), rate(0.25), rate(9.6), rate(12_400.4)] == ["0/s", "0.25/s", "9.6/s", "12,400/s"]


def test_one_is_one() -> None:
    assert [several(0, "record"), several(1, "record"), several(1000, "record")] == [
        "0 records",
        "1 record",
        "1,000 records",
    ]


def test_foreign_text_is_shortened_and_spelled_out() -> None:
    assert foreign("abc" * 5, 6) == "abcabc… (9 more characters)"
    assert foreign("a\x1b[2Jb\u202ec\ud800") == r"a\x1b[2Jb\u202ec\ud800"
    assert one_line("a\r\nb\n\tc ") == r"a\r b c"
    assert foreign(None) == "None"
