"""Every scheduler of core keeps the promises of the kit, also with its options and without a name."""

from __future__ import annotations

from typing import Any, ClassVar

from pipe_core import AdaptiveScheduler
from pipe_core.testing import SchedulerConformance


class TestPriority(SchedulerConformance):
    scheduler = "priority"


class TestPriorityWithoutAgeing(SchedulerConformance):
    scheduler = "priority"
    options: ClassVar[dict[str, Any]] = {"age_after": None}
    starves = True


class TestWorkStealing(SchedulerConformance):
    scheduler = "work_stealing"


class TestRoundRobin(SchedulerConformance):
    scheduler = "round_robin"


class TestFair(SchedulerConformance):
    scheduler = "fair"


class TestAdaptive(SchedulerConformance):
    def make_scheduler(self) -> AdaptiveScheduler:
        return AdaptiveScheduler(min_workers=1, max_workers=3)
