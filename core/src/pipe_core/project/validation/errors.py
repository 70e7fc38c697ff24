"""What is wrong with a pipeline before anything of it runs."""

from __future__ import annotations

from collections.abc import Sequence

from pipe_core.project.errors import NodeNotFoundError, ProjectError


class PipelineConfigError(ProjectError, ValueError):
    """A pipeline's configuration is not what one is."""


class MissingNodesError(NodeNotFoundError, ValueError):
    """A pipeline has nodes without a configuration.

    Attributes:
        missing: All of them.
    """

    def __init__(self, message: str, *, missing: Sequence[str], available: Sequence[str]) -> None:
        super().__init__(message, node=missing[0], available=available)
        self.missing = tuple(missing)
