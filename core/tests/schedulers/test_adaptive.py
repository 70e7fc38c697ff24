"""`AdaptiveScheduler` is `priority` with two numbers for the executor."""

from __future__ import annotations

from typing import Any

import pytest

from pipe_core import AdaptiveScheduler, OptionsError, PriorityScheduler
from pipe_core.runtime.cores import cores


def test_it_carries_how_many_workers_there_may_be() -> None:
    scheduler = AdaptiveScheduler(min_workers=2, max_workers=8, age_after=5.0)
    assert isinstance(scheduler, PriorityScheduler)
    assert scheduler.workers == (2, 8)


def test_without_numbers_from_one_to_the_cores() -> None:
    assert AdaptiveScheduler().workers == (1, cores())
    assert AdaptiveScheduler(min_workers=10_000).workers == (10_000, 10_000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_workers": 0}, "min_workers wants a whole number from 1 on, not 0"),
        ({"min_workers": True}, "min_workers wants"),
        ({"max_workers": 2.5}, "max_workers wants"),
        ({"min_workers": 3, "max_workers": 2}, "min_workers is 3, which is more than max_workers, 2"),
        ({"age_after": 0}, "age_after"),
    ],
)
def test_wrong_numbers_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        AdaptiveScheduler(**options)
