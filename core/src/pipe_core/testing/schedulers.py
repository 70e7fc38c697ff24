"""`SchedulerConformance`: what a scheduler must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing import SchedulerConformance

    class TestMine(SchedulerConformance):
        scheduler = "mine"
        options = {"classes": 3}
"""

from __future__ import annotations

from pipe_core.testing.scheduling.answers import AnswerTests
from pipe_core.testing.scheduling.effects import EffectTests


class SchedulerConformance(AnswerTests, EffectTests, kit=True):
    """Inherit, say which scheduler, and run pytest.

    Attributes:
        scheduler: Its name.
        options: Its options.
        ordered: Whether tasks leave in the order in which they came.
        starves: Whether a task may wait for as long as others come. Say so only where the users are told.
        examples: How many random histories are tried.
    """
