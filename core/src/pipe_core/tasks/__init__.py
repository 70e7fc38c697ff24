"""Tasks: calls and events with a status, run once, and a ledger that knows where each of them is.

An event's way, one module a station: `event` (what people subclass), `record` (its status, owned once), `running`
(one run of it, and how a run ends), `execution` (what came of it), `event_data` and `error_data` (plain data and back).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipe_core.tasks.errors import EventClassError as EventClassError
from pipe_core.tasks.errors import HistoryError as HistoryError
from pipe_core.tasks.event import Event as Event
from pipe_core.tasks.execution import Execution as Execution
from pipe_core.tasks.execution import Unset as Unset
from pipe_core.tasks.execution import UnsetType as UnsetType
from pipe_core.tasks.record import EventRecord as EventRecord
from pipe_core.tasks.record import Owner as Owner
from pipe_core.tasks.status import EventStatus as EventStatus
from pipe_core.tasks.status import as_status as as_status

if TYPE_CHECKING:
    from pipe_core.tasks.log_files import read_history as read_history
    from pipe_core.tasks.timeline_page import write_timeline as write_timeline

_LATER = {"read_history": "pipe_core.tasks.log_files", "write_timeline": "pipe_core.tasks.timeline_page"}
"""What most programs never use, and the module that it comes from when it is."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(_LATER[name]), name)
