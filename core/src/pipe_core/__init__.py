"""pipe: write the work once, choose where it runs by one word.

Public names are imported when they are first used, so that ``import pipe_core`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipe_core.executors.sync import SyncFifoExecutor as SyncFifoExecutor
    from pipe_core.graph.caching.disk import DiskCache as DiskCache
    from pipe_core.graph.caching.memory import Cache as Cache
    from pipe_core.graph.caching.memory import MemoryCache as MemoryCache
    from pipe_core.graph.callbacks import CallbackContext as CallbackContext
    from pipe_core.graph.callbacks import PipelineCallback as PipelineCallback
    from pipe_core.graph.engine import Engine as Engine
    from pipe_core.graph.node import Node as Node
    from pipe_core.graph.node import node as node
    from pipe_core.graph.pipeline import Pipeline as Pipeline
    from pipe_core.graph.progress import ProgressCallback as ProgressCallback
    from pipe_core.graph.recording import RunRecorder as RunRecorder
    from pipe_core.graph.result import FailedRow as FailedRow
    from pipe_core.graph.result import MapResult as MapResult
    from pipe_core.graph.scope import CancelToken as CancelToken
    from pipe_core.graph.stateful import stateful as stateful
    from pipe_core.kernel.access import get_codec as get_codec
    from pipe_core.kernel.access import get_format as get_format
    from pipe_core.kernel.access import get_hook as get_hook
    from pipe_core.kernel.access import get_observer as get_observer
    from pipe_core.kernel.access import get_scheduler as get_scheduler
    from pipe_core.kernel.contracts import Backend as Backend
    from pipe_core.kernel.contracts import Call as Call
    from pipe_core.kernel.contracts import Codec as Codec
    from pipe_core.kernel.contracts import Done as Done
    from pipe_core.kernel.contracts import Format as Format
    from pipe_core.kernel.contracts import Outcome as Outcome
    from pipe_core.kernel.contracts import Scheduler as Scheduler
    from pipe_core.kernel.contracts import Sink as Sink
    from pipe_core.kernel.contracts import Source as Source
    from pipe_core.kernel.contracts import Take as Take
    from pipe_core.kernel.errors import BackendLost as BackendLost
    from pipe_core.kernel.errors import CircuitOpenError as CircuitOpenError
    from pipe_core.kernel.errors import CodecError as CodecError
    from pipe_core.kernel.errors import ConfigError as ConfigError
    from pipe_core.kernel.errors import ConservationError as ConservationError
    from pipe_core.kernel.errors import DeadlockError as DeadlockError
    from pipe_core.kernel.errors import HookContractError as HookContractError
    from pipe_core.kernel.errors import HookTimeout as HookTimeout
    from pipe_core.kernel.errors import IllegalTransitionError as IllegalTransitionError
    from pipe_core.kernel.errors import InsecureAddressError as InsecureAddressError
    from pipe_core.kernel.errors import MissingResourcesError as MissingResourcesError
    from pipe_core.kernel.errors import OptionsError as OptionsError
    from pipe_core.kernel.errors import PipeError as PipeError
    from pipe_core.kernel.errors import PluginBlockedError as PluginBlockedError
    from pipe_core.kernel.errors import PluginConflictError as PluginConflictError
    from pipe_core.kernel.errors import PluginDependencyError as PluginDependencyError
    from pipe_core.kernel.errors import PluginError as PluginError
    from pipe_core.kernel.errors import PluginIncompatibleError as PluginIncompatibleError
    from pipe_core.kernel.errors import PluginLoadError as PluginLoadError
    from pipe_core.kernel.errors import PluginNotFoundError as PluginNotFoundError
    from pipe_core.kernel.errors import PositionLostError as PositionLostError
    from pipe_core.kernel.errors import QueueFullError as QueueFullError
    from pipe_core.kernel.errors import RecordsFailedError as RecordsFailedError
    from pipe_core.kernel.errors import RemoteError as RemoteError
    from pipe_core.kernel.errors import RunCancelledError as RunCancelledError
    from pipe_core.kernel.errors import RunError as RunError
    from pipe_core.kernel.errors import RunningError as RunningError
    from pipe_core.kernel.errors import RunTimeoutError as RunTimeoutError
    from pipe_core.kernel.errors import SchemaError as SchemaError
    from pipe_core.kernel.errors import SettingsError as SettingsError
    from pipe_core.kernel.errors import SinkError as SinkError
    from pipe_core.kernel.errors import SourceError as SourceError
    from pipe_core.kernel.errors import SourceNotFoundError as SourceNotFoundError
    from pipe_core.kernel.errors import TargetExistsError as TargetExistsError
    from pipe_core.kernel.errors import TaskTimeoutError as TaskTimeoutError
    from pipe_core.kernel.errors import TooManyErrorsError as TooManyErrorsError
    from pipe_core.kernel.errors import UnsupportedCapabilityError as UnsupportedCapabilityError
    from pipe_core.kernel.errors import VersionMismatchError as VersionMismatchError
    from pipe_core.kernel.errors import WorkerKilled as WorkerKilled
    from pipe_core.kernel.hookspecs import hookimpl as hookimpl
    from pipe_core.kernel.hookspecs import hookspec as hookspec
    from pipe_core.kernel.kernel import Kernel as Kernel
    from pipe_core.kernel.priority import TaskPriority as TaskPriority
    from pipe_core.kernel.settings import using as using
    from pipe_core.kernel.specs import Capabilities as Capabilities
    from pipe_core.kernel.specs import CodecSpec as CodecSpec
    from pipe_core.kernel.specs import ExecutorSpec as ExecutorSpec
    from pipe_core.kernel.specs import FormatSpec as FormatSpec
    from pipe_core.kernel.specs import HookSpec as HookSpec
    from pipe_core.kernel.specs import ObserverSpec as ObserverSpec
    from pipe_core.kernel.specs import SchedulerSpec as SchedulerSpec
    from pipe_core.project.catalog import Catalog as Catalog
    from pipe_core.project.commands import Command as Command
    from pipe_core.project.commands import MLNodeCommand as MLNodeCommand
    from pipe_core.project.commands import NodeCommand as NodeCommand
    from pipe_core.project.errors import DependencyCycleError as DependencyCycleError
    from pipe_core.project.errors import DependencyError as DependencyError
    from pipe_core.project.errors import DependencyTypeError as DependencyTypeError
    from pipe_core.project.errors import NodeNotFoundError as NodeNotFoundError
    from pipe_core.project.errors import NodeResultError as NodeResultError
    from pipe_core.project.errors import ProjectError as ProjectError
    from pipe_core.project.errors import RunFailedError as RunFailedError
    from pipe_core.project.experiments import ExperimentCommand as ExperimentCommand
    from pipe_core.project.project import Project as Project
    from pipe_core.project.runs.runner import Runner as Runner
    from pipe_core.project.state import RunState as RunState
    from pipe_core.records import BaseHook as BaseHook
    from pipe_core.records import Entry as Entry
    from pipe_core.records import EntryStatus as EntryStatus
    from pipe_core.records import FlowReport as FlowReport
    from pipe_core.records import FlowStatus as FlowStatus
    from pipe_core.records import HookPriority as HookPriority
    from pipe_core.records import HookStore as HookStore
    from pipe_core.records import Pipe as Pipe
    from pipe_core.runs.errors import CheckpointError as CheckpointError
    from pipe_core.runs.errors import ResumeError as ResumeError
    from pipe_core.runs.errors import RunLockedError as RunLockedError
    from pipe_core.runs.errors import RunNotFoundError as RunNotFoundError
    from pipe_core.runs.errors import RunSupersededError as RunSupersededError
    from pipe_core.runtime.executor import Executor as Executor
    from pipe_core.runtime.history import Transition as Transition
    from pipe_core.runtime.ledger import Ledger as Ledger
    from pipe_core.runtime.permits import CircuitBreaker as CircuitBreaker
    from pipe_core.runtime.permits import RateLimit as RateLimit
    from pipe_core.runtime.retries import Retry as Retry
    from pipe_core.runtime.select import NamedExecutor as NamedExecutor
    from pipe_core.runtime.select import get_executor as get_executor
    from pipe_core.runtime.submitting import SubmittingBackend as SubmittingBackend
    from pipe_core.schedulers.adaptive import AdaptiveScheduler as AdaptiveScheduler
    from pipe_core.schedulers.fair import FairScheduler as FairScheduler
    from pipe_core.schedulers.fifo import FifoScheduler as FifoScheduler
    from pipe_core.schedulers.priority import PriorityScheduler as PriorityScheduler
    from pipe_core.schedulers.round_robin import RoundRobinScheduler as RoundRobinScheduler
    from pipe_core.schedulers.work_stealing import WorkStealingScheduler as WorkStealingScheduler
    from pipe_core.tasks.event import Event as Event
    from pipe_core.tasks.event_executor import EventExecutor as EventExecutor
    from pipe_core.tasks.permissions import Rejection as Rejection
    from pipe_core.tasks.policies import Retention as Retention
    from pipe_core.tasks.processor import Processor as Processor
    from pipe_core.tasks.statistics import ExecutorStats as ExecutorStats
    from pipe_core.tasks.status import EventStatus as EventStatus
    from pipe_core.tasks.task_executor import TaskExecutor as TaskExecutor

_PLACES = {
    "pipe_core.executors.sync": "SyncFifoExecutor",
    "pipe_core.graph.callbacks": "CallbackContext PipelineCallback",
    "pipe_core.graph.caching.disk": "DiskCache",
    "pipe_core.graph.caching.memory": "Cache MemoryCache",
    "pipe_core.graph.engine": "Engine",
    "pipe_core.graph.node": "Node node",
    "pipe_core.graph.pipeline": "Pipeline",
    "pipe_core.graph.progress": "ProgressCallback",
    "pipe_core.graph.recording": "RunRecorder",
    "pipe_core.graph.result": "FailedRow MapResult",
    "pipe_core.graph.scope": "CancelToken",
    "pipe_core.graph.stateful": "stateful",
    "pipe_core.kernel.access": "get_codec get_format get_hook get_observer get_scheduler",
    "pipe_core.kernel.contracts": "Backend Call Codec Done Format Outcome Scheduler Sink Source Take",
    "pipe_core.kernel.errors": (
        "BackendLost CircuitOpenError CodecError ConfigError ConservationError DeadlockError HookContractError "
        "HookTimeout IllegalTransitionError InsecureAddressError MissingResourcesError "
        "OptionsError PipeError PluginBlockedError PluginConflictError PluginDependencyError PluginError "
        "PluginIncompatibleError PluginLoadError PluginNotFoundError PositionLostError QueueFullError "
        "RecordsFailedError RemoteError RunCancelledError RunError RunningError RunTimeoutError "
        "SchemaError SettingsError SinkError SourceError SourceNotFoundError "
        "TargetExistsError TaskTimeoutError TooManyErrorsError UnsupportedCapabilityError VersionMismatchError "
        "WorkerKilled"
    ),
    "pipe_core.kernel.hookspecs": "hookimpl hookspec",
    "pipe_core.kernel.kernel": "Kernel",
    "pipe_core.kernel.priority": "TaskPriority",
    "pipe_core.kernel.settings": "using",
    "pipe_core.kernel.specs": "Capabilities CodecSpec ExecutorSpec FormatSpec HookSpec ObserverSpec SchedulerSpec",
    "pipe_core.project.catalog": "Catalog",
    "pipe_core.project.commands": "Command MLNodeCommand NodeCommand",
    "pipe_core.project.errors": (
        "DependencyCycleError DependencyError DependencyTypeError NodeNotFoundError NodeResultError ProjectError "
        "RunFailedError"
    ),
    "pipe_core.project.experiments": "ExperimentCommand",
    "pipe_core.project.project": "Project",
    "pipe_core.project.runs.runner": "Runner",
    "pipe_core.project.state": "RunState",
    "pipe_core.records": "BaseHook Entry EntryStatus FlowReport FlowStatus HookPriority HookStore Pipe",
    "pipe_core.runs.errors": "CheckpointError ResumeError RunLockedError RunNotFoundError RunSupersededError",
    "pipe_core.runtime.executor": "Executor",
    "pipe_core.runtime.history": "Transition",
    "pipe_core.runtime.ledger": "Ledger",
    "pipe_core.runtime.permits": "CircuitBreaker RateLimit",
    "pipe_core.runtime.retries": "Retry",
    "pipe_core.runtime.select": "NamedExecutor get_executor",
    "pipe_core.runtime.submitting": "SubmittingBackend",
    "pipe_core.schedulers.adaptive": "AdaptiveScheduler",
    "pipe_core.schedulers.fair": "FairScheduler",
    "pipe_core.schedulers.fifo": "FifoScheduler",
    "pipe_core.schedulers.priority": "PriorityScheduler",
    "pipe_core.schedulers.round_robin": "RoundRobinScheduler",
    "pipe_core.schedulers.work_stealing": "WorkStealingScheduler",
    "pipe_core.tasks.event": "Event",
    "pipe_core.tasks.event_executor": "EventExecutor",
    "pipe_core.tasks.permissions": "Rejection",
    "pipe_core.tasks.policies": "Retention",
    "pipe_core.tasks.processor": "Processor",
    "pipe_core.tasks.statistics": "ExecutorStats",
    "pipe_core.tasks.status": "EventStatus",
    "pipe_core.tasks.task_executor": "TaskExecutor",
}
_HOMES = {name: module for module, names in _PLACES.items() for name in names.split()}

__all__ = [*sorted(_HOMES), "__version__"]  # noqa: PLE0604  # made from the table above, so that the two agree


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pipe-core")
    if name not in _HOMES:
        raise AttributeError(f"module 'pipe_core' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
