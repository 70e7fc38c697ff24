"""`ExecutorConformance`: what an executor must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing import ExecutorConformance

    class TestMine(ExecutorConformance):
        executor = "mine"

A capability that the executor claims has its tests; one that it does not claim must be refused as documented.
"""

from __future__ import annotations

from pipe_core.testing.executing.calls import CallTests
from pipe_core.testing.executing.deaths import DeathTests
from pipe_core.testing.executing.ending import EndingTests
from pipe_core.testing.executing.errors import ErrorTests
from pipe_core.testing.executing.package import PackageTests
from pipe_core.testing.executing.places import PlaceTests


class ExecutorConformance(CallTests, ErrorTests, PlaceTests, DeathTests, EndingTests, PackageTests, kit=True):
    """Inherit, say which executor, and run pytest.

    Most tests share one executor, which is started once. Nothing waits without a limit: a test that hangs fails, and
    tells where it stands. Nothing but files is needed, so workers may be anywhere that sees the folder for temporary
    files.

    Attributes:
        executor: Its name, ``(name, options)``, or a function that gives an executor or a pool of the standard library
            that is to be adopted. Where nobody says how many workers there are, two are asked for.
        heavy: Modules that must not be imported before the executor is started. Default: those of all distributions
            that the plugin's own one depends on, core and what it needs aside.
        patience: Seconds that any one thing may take: a result, a shutdown, the end of a process.
        start_seconds: Seconds that starting or shutting down may take beside.
    """
