"""Errors of runs that are kept on disk."""

from __future__ import annotations

from pipe_core.kernel.errors import PipeError


class RunNotFoundError(PipeError, LookupError):
    """There is no run of that id."""


class RunLockedError(PipeError, RuntimeError):
    """The run goes on in another process, or is resumed there."""


class RunSupersededError(PipeError, RuntimeError):
    """Somebody has resumed the run that this belongs to: what was made is not saved."""


class ResumeError(PipeError, ValueError):
    """A run cannot be resumed as it is: what it reads, or what it does, is not what it was."""


class CheckpointError(PipeError, OSError):
    """How far a run has come cannot be kept, or not be read again."""
