"""Faults on purpose: show that nothing of what you build is lost, doubled or changed when something fails.

    from pipe_core.testing.faults import Drivers, FlakySink, Oracle, fail_at_each

`Oracle` makes records and knows what must become of each. `Drivers` runs programs that are killed, `FlakySource` and
`FlakySink` fail at the operation that you name, `fail_at_each` tries all of them, and a `Gate` holds a run at a point.
`resumed_behind` lets a run fail at one of `SINK_FAULTS`, or another failpoint, and resumes it.

Needs ``pip install pipe-core[testing]``.
"""

from pipe_core.testing.faulting.drivers import Driver as Driver
from pipe_core.testing.faulting.drivers import DriverError as DriverError
from pipe_core.testing.faulting.drivers import Drivers as Drivers
from pipe_core.testing.faulting.drivers import Ended as Ended
from pipe_core.testing.faulting.faults import Faults as Faults
from pipe_core.testing.faulting.faults import fail_at_each as fail_at_each
from pipe_core.testing.faulting.findings import Comparison as Comparison
from pipe_core.testing.faulting.findings import Findings as Findings
from pipe_core.testing.faulting.flaky import FlakySink as FlakySink
from pipe_core.testing.faulting.flaky import FlakySource as FlakySource
from pipe_core.testing.faulting.gates import Gate as Gate
from pipe_core.testing.faulting.oracle import Number as Number
from pipe_core.testing.faulting.oracle import Oracle as Oracle
from pipe_core.testing.faulting.oracle import drop_marked as drop_marked
from pipe_core.testing.faulting.resuming import SINK_FAULTS as SINK_FAULTS
from pipe_core.testing.faulting.resuming import resumed_behind as resumed_behind
