"""Hook specifications: every question the kernel asks a plugin, and every fact it tells an observer.

A provider hook answers a question: which spec belongs to this name? An event hook hears a fact. Write functions of
the same name, with the same arguments or fewer, and mark them with `hookimpl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from pipe_core.kernel.facts import EntryFailure, RunInfo, TaskInfo
    from pipe_core.kernel.specs import CodecSpec, ExecutorSpec, FormatSpec, HookSpec, ObserverSpec, SchedulerSpec

PROJECT: Final = "pipe_core"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class ProviderHooks:
    """Questions. Each has one answer: that of the plugin whose entry point has the name."""

    @hookspec(firstresult=True)
    def pipe_executor(self, name: str) -> ExecutorSpec | None:
        """Describe the executor called *name*. Must not import what it runs on."""

    @hookspec(firstresult=True)
    def pipe_scheduler(self, name: str) -> SchedulerSpec | None:
        """Describe the scheduler called *name*."""

    @hookspec(firstresult=True)
    def pipe_codec(self, name: str) -> CodecSpec | None:
        """Describe the codec called *name*."""

    @hookspec(firstresult=True)
    def pipe_hook(self, name: str) -> HookSpec | None:
        """Describe the record hook called *name*."""

    @hookspec(firstresult=True)
    def pipe_format(self, name: str) -> FormatSpec | None:
        """Describe the format called *name*."""

    @hookspec(firstresult=True)
    def pipe_observer(self, name: str) -> ObserverSpec | None:
        """Describe the observer called *name*."""


class EventHooks:
    """Facts. Everybody who listens is told, in the order in which the observers were named."""

    @hookspec(historic=True)
    def pipe_configure(self, settings: Mapping[str, Any]) -> None:
        """The kernel's settings, told once to every plugin, to those loaded later as well."""

    @hookspec
    def pipe_run_started(self, run: RunInfo) -> None:
        """A run has started."""

    @hookspec
    def pipe_run_progress(self, run: RunInfo) -> None:
        """Some of a run was committed. At most ten times a second."""

    @hookspec
    def pipe_task_submitted(self, run: RunInfo, task: TaskInfo) -> None:
        """A task of a run was handed to the executor."""

    @hookspec
    def pipe_task_finished(self, run: RunInfo, task: TaskInfo) -> None:
        """A task of a run has ended, well or badly."""

    @hookspec
    def pipe_entry_failed(self, run: RunInfo, failure: EntryFailure) -> None:
        """A record was rejected."""

    @hookspec
    def pipe_run_finished(self, run: RunInfo, report: Any) -> None:
        """A run has ended. *report* is its report."""
