"""Errors of projects: what cannot be put together, and what failed in a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipe_core.kernel.errors import PipeError

if TYPE_CHECKING:
    from pipe_core.project.runs.result import RunResult


class ProjectError(PipeError):
    """Something about a project or a run of it."""


class DependencyError(ProjectError, ValueError):
    """Dependencies are not said as they can be, or name what is not there."""


class DependencyTypeError(DependencyError, TypeError):
    """A dependency is of a type that none can have."""


class DependencyCycleError(DependencyError):
    """Nodes need each other in a circle.

    Attributes:
        path: The names along it; the first is also the last.
    """

    def __init__(self, message: str, *, path: Sequence[str]) -> None:
        super().__init__(message)
        self.path = tuple(path)


class NodeNotFoundError(ProjectError, LookupError):
    """There is no node of that name.

    Attributes:
        node: The name.
        available: Those that there are.
    """

    def __init__(self, message: str, *, node: str, available: Iterable[str]) -> None:
        super().__init__(message)
        self.node = node
        self.available = tuple(available)


class NodeResultError(ProjectError, ValueError):
    """A node's result does not fit its outputs.

    Attributes:
        node: The name of the node.
    """

    retryable = False

    def __init__(self, message: str, *, node: str) -> None:
        super().__init__(message)
        self.node = node


class RunFailedError(ProjectError, RuntimeError):
    """A run has failed; the error of the first node that did is its cause.

    Attributes:
        node: The name of that node.
        result: All that is known of the run.
    """

    def __init__(self, message: str, *, node: str, result: RunResult) -> None:
        super().__init__(message)
        self.node = node
        self.result = result
