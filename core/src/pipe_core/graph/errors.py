"""Errors of the graph: what cannot be wired, what cannot be run with what was given, what failed in a node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipe_core.kernel.errors import PipeError
from pipe_core.looks.wording import one_line


class GraphError(PipeError, ValueError):
    """Nodes cannot be wired, or a pipeline cannot be run in this way."""


class NodeDefinitionError(GraphError, TypeError):
    """A function cannot be a node as it is written."""


class CycleError(GraphError):
    """Nodes need each other in a circle.

    Attributes:
        path: The names along it; the first is also the last.
    """

    def __init__(self, message: str, *, path: Sequence[str]) -> None:
        super().__init__(message)
        self.path = tuple(path)


class DuplicateOutputError(GraphError):
    """Two nodes give an output of the same name.

    Attributes:
        output: Its name.
    """

    def __init__(self, message: str, *, output: str) -> None:
        super().__init__(message)
        self.output = output


class EdgeTypeError(GraphError, TypeError):
    """What a node gives cannot be what another one takes, by the types that both say.

    Attributes:
        output: What is given.
        giver: The name of the node that gives it.
        taker: The name of the node that takes it; dotted, if that is inside of another one.
        given: The type on the one side.
        wanted: The type on the other side.
    """

    def __init__(self, message: str, *, output: str, giver: str, taker: str, given: Any, wanted: Any) -> None:
        super().__init__(message)
        self.output, self.giver, self.taker, self.given, self.wanted = output, giver, taker, given, wanted


class InputError(GraphError):
    """Inputs are missing, unknown, or given twice.

    Attributes:
        missing: Names that are needed and were not given.
        unknown: Names that were given and that nothing takes.
    """

    def __init__(self, message: str, *, missing: Iterable[str] = (), unknown: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.unknown = tuple(unknown)


class OutputNotFoundError(GraphError):
    """Nothing in the pipeline gives an output of that name.

    Attributes:
        output: The name.
        available: Those that there are.
    """

    def __init__(self, message: str, *, output: str, available: Iterable[str]) -> None:
        super().__init__(message)
        self.output = output
        self.available = tuple(available)


class OutputMismatchError(GraphError):
    """A node gave another number of values than it has outputs."""


class ExecutorClosedError(PipeError, RuntimeError):
    """The executor that a pipeline runs on was shut down before its end."""

    def __init__(self, executor: str) -> None:
        super().__init__(
            f"The executor {executor!r} was shut down while a pipeline ran on it, or before. Keep it open until the "
            f"run has ended, or give the engine its name: then it starts one of its own."
        )


class ItemsFailedError(ExceptionGroup[Exception]):
    """All that failed in a run with ``on_error="collect"``.

    Attributes:
        result: What there is in spite of that.
    """

    result: Any = None

    def derive(self, excs: Sequence[Exception], /) -> ItemsFailedError:  # type: ignore[override]  # of no other errors
        """A part of the group, with the same result."""
        part = ItemsFailedError(self.message, excs)
        part.result = self.result
        return part


def items_failed(failures: Sequence[Exception], of: int, what: str, result: Any) -> ItemsFailedError:
    """The error for *failures* of so many *what*: items, nodes. *result* is what there is in spite of them."""
    error = ItemsFailedError(f"{len(failures)} of {of} {what} have failed", failures)
    error.result = result
    return error


def note(error: BaseException, node: str, inputs: dict[str, Any], item: Sequence[int] = (), pipeline: str = "") -> None:
    """Say on *error* where it happened. Once: an error that passes several levels keeps the first note."""
    if any(text.startswith("In node ") for text in getattr(error, "__notes__", ())):
        return
    where = f"In node '{node}'" + (f" of pipeline '{pipeline}'" if pipeline else "")
    if item:
        where += f", item {', '.join(map(str, item))}"
    shown = ", ".join(f"{name}={short(value)}" for name, value in inputs.items())
    error.add_note(f"{where}, called with {shown}" if shown else f"{where}, called without inputs")


def short(value: Any) -> str:
    """*value* as people write it, on one line and not long, whatever its own code does."""
    try:
        text = repr(value)
    except Exception:  # somebody else's code
        text = f"<a {type(value).__name__}>"
    return one_line(text, 80)
