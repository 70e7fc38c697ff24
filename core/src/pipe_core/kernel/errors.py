"""Every error that pipe raises on purpose.

One base, `PipeError`. An error that the standard library has a class for is a subclass of both, so that
``except FileNotFoundError`` works for people who have never heard of pipe. Facts are attributes, not only text.
A message says what happened, the likely cause, the evidence and the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Report(Protocol):
    """What an error knows of the report of its run, whatever kind of run it was."""

    read: int
    valid: int
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""


class PipeError(Exception):
    """Base of all errors raised by pipe and its plugins."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with the message alone, which most of the classes below refuse.
        return rebuild, (type(self), self.args, self.__dict__)


def rebuild(kind: type[PipeError], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> PipeError:
    """An error of the class *kind* again, from what it consists of and not by its ``__init__``."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


# --- plugins -------------------------------------------------------------------------------------------------------


class PluginError(PipeError):
    """Something is wrong with a plugin. `family` and `name` say with which."""

    def __init__(self, message: str, *, family: str, name: str, distribution: str | None = None) -> None:
        super().__init__(message)
        self.family = family
        self.name = name
        self.distribution = distribution


class PluginNotFoundError(PluginError, LookupError):
    """No installed plugin has that name. `installed` lists those that there are."""

    def __init__(self, message: str, *, family: str, name: str, installed: Sequence[str] = ()) -> None:
        super().__init__(message, family=family, name=name)
        self.installed = tuple(installed)


class PluginBlockedError(PluginNotFoundError):
    """The plugin is installed, but an environment variable keeps it from being loaded."""


class PluginConflictError(PluginError, LookupError):
    """Two distributions offer the same name. `distributions` names them; ``dist:name`` chooses one."""

    def __init__(self, message: str, *, family: str, name: str, distributions: Sequence[str]) -> None:
        super().__init__(message, family=family, name=name)
        self.distributions = tuple(distributions)


class PluginLoadError(PluginError, ImportError):  # type: ignore[misc]  # ImportError.name may be None, ours is not
    """Importing the plugin's module failed; the cause is chained."""

    def __str__(self) -> str:  # ImportError has its own idea of str()
        return str(self.args[0])


class PluginDependencyError(PluginLoadError):
    """The plugin imports a module that is not installed. `missing` is that module's name."""

    retryable = False

    def __init__(self, message: str, *, family: str, name: str, distribution: str | None, missing: str) -> None:
        super().__init__(message, family=family, name=name, distribution=distribution)
        self.missing = missing


class PluginIncompatibleError(PluginError, TypeError):
    """The plugin does not fit the hook specifications of this version of pipe."""


class UnsupportedCapabilityError(PipeError, RuntimeError):
    """An executor was asked for what it cannot do. `able` lists installed executors that can."""

    def __init__(self, message: str, *, capability: str, executor: str, able: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.capability = capability
        self.executor = executor
        self.able = tuple(able)


# --- what people write ---------------------------------------------------------------------------------------------


class OptionsError(PipeError, ValueError):
    """An option is unknown or has a wrong value. `problems` maps each option to what is wrong with it."""

    def __init__(self, message: str, *, problems: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.problems = dict(problems or {})


class SettingsError(OptionsError):
    """A setting from the environment or a settings file is unknown or wrong."""


class ConfigError(PipeError, ValueError):
    """A configuration file is refused. `path`, `line` and `key` say where."""

    def __init__(self, message: str, *, path: str, line: int | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.key = key


class SchemaError(PipeError, TypeError):
    """What was given as a schema is none."""


class HookContractError(PipeError, TypeError):
    """A hook did what no hook may do, for example returned another type. `hook` is its name."""

    def __init__(self, message: str, *, hook: str) -> None:
        super().__init__(message)
        self.hook = hook


# --- values and bytes ----------------------------------------------------------------------------------------------


class CodecError(PipeError, ValueError):
    """Bytes are damaged, foreign or over a limit, or a value cannot travel. `path` leads to the value."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class SourceError(PipeError, OSError):
    """A source cannot be read. `source` names it, `position` counts the records read before."""

    def __init__(self, message: str, *, source: str, position: int | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.position = position

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class SourceNotFoundError(SourceError, FileNotFoundError):
    """The source does not exist."""


class PositionLostError(SourceError):
    """A source that was followed cannot be gone on with: it was replaced, or what is behind the position is gone.

    Whoever goes through it begins again, or goes through another one.
    """

    retryable = False


class SinkError(PipeError, OSError):
    """A sink cannot be written. `sink` names it."""

    def __init__(self, message: str, *, sink: str) -> None:
        super().__init__(message)
        self.sink = sink

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class TargetExistsError(SinkError, FileExistsError):
    """The sink's target exists and ``mode="error"``."""


# --- runs ----------------------------------------------------------------------------------------------------------


class RunError(PipeError, RuntimeError):
    """A run failed. `report` is its full report, where there is one."""

    def __init__(self, message: str, *, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


class ConservationError(RunError):
    """``read + expanded == valid + failed + dropped`` does not hold: something was lost or doubled."""


class TooManyErrorsError(RunError):
    """A run was stopped by ``on_error="fail"``, ``max_errors`` or ``max_error_rate``."""


class RunTimeoutError(RunError, TimeoutError):
    """A run was stopped because it took longer than ``max_runtime``."""


class RecordsFailedError(RunError):
    """Raised by `FlowReport.raise_for_status` when records failed."""


class RunCancelledError(RunError):
    """The run was aborted before it was done."""


class RunningError(RunError):
    """A run was started while it was pending or running, or asked for where it would wait for itself."""


class HookTimeout(PipeError, TimeoutError):
    """A hook took longer than `hook_timeout` seconds."""


class QueueFullError(PipeError, RuntimeError):
    """The queue of waiting tasks is full and the policy is not to wait. It may have room a moment later."""

    retryable = True

    def __init__(self, message: str, *, queue_size: int, max_size: int) -> None:
        super().__init__(message)
        self.queue_size = queue_size
        self.max_size = max_size


class MissingResourcesError(PipeError, RuntimeError):
    """No worker has what a call needs. `resources` says what that is, and `executor` whose workers they are."""

    def __init__(self, message: str, *, resources: Mapping[str, float], executor: str) -> None:
        super().__init__(message)
        self.resources = dict(resources)
        self.executor = executor


class TaskTimeoutError(PipeError, TimeoutError):
    """A task took longer than it may, or was not begun by its deadline."""

    retryable = True


class CircuitOpenError(PipeError, RuntimeError):
    """A resource has failed so often that nothing is asked of it for now. `retry_after` says for how many seconds."""

    retryable = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlockError(PipeError, RuntimeError):
    """A task waits in a way that may never end: for another task of its own executor, which has no slot to run in."""


class BackendLost(PipeError, ConnectionError):
    """The system that runs the calls is gone."""


class VersionMismatchError(PipeError, RuntimeError):
    """Workers run other versions than the driver. `workers` maps each such worker to its versions."""

    def __init__(self, message: str, *, executor: str, workers: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(message)
        self.executor = executor
        self.workers = workers


class InsecureAddressError(OptionsError):
    """An address leads to another machine without encryption or a token, and nobody allowed that."""


class WorkerKilled(PipeError, RuntimeError):
    """A worker process ended while it ran a call.

    `exit_code` is its exit code, negative for a signal. `at` and `hook` are what the call had noted down last: for a
    chunk of records, the first one of the batch in work, and the number of the hook, from 1 on. Each is None where
    nobody can tell.
    """

    def __init__(
        self, message: str, *, exit_code: int | None = None, at: int | None = None, hook: int | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.at = at
        self.hook = hook


class IllegalTransitionError(PipeError, RuntimeError):
    """A task's status cannot change that way."""


class RemoteError(PipeError):
    """An exception from another process whose own class cannot be rebuilt here.

    `type_name` is the qualified name of its class, `remote_traceback` the text of its traceback.
    """

    def __init__(self, message: str, *, type_name: str, remote_traceback: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.remote_traceback = remote_traceback
