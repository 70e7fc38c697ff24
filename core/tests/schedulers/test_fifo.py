"""The scheduler `fifo` keeps the promises of the kit, and the order in which tasks came."""

from __future__ import annotations

from pipe_core.testing import SchedulerConformance


class TestFifo(SchedulerConformance):
    scheduler = "fifo"
    ordered = True
