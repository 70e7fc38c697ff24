"""What cannot travel between processes, by the names that people gave it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipe_core.graph.node import Node
from pipe_core.kernel.errors import CodecError
from pipe_core.runtime.wire import dumps

if TYPE_CHECKING:
    from pipe_core.graph.pipeline import Pipeline

_WAY_OUT = "Make it where it is used, mark what makes it as @stateful, or run that node on 'threads'."


def blame_inputs(named: Iterable[tuple[str, str, Any]]) -> CodecError | None:
    """An error that names the first value that cannot travel: of ``(node, input, value)``."""
    for node, name, value in named:
        why = _obstacle(value)
        if why is not None:
            return CodecError(
                f"The input '{name}' of {node} (a {type(value).__name__}) cannot travel to another process: {why}. "
                f"{_WAY_OUT}"
            )
    return None


def blame_nodes(pipeline: Pipeline) -> CodecError | None:
    """An error that names the first node of *pipeline* that cannot travel."""
    for node in pipeline.nodes:
        if not isinstance(node, Node):
            if (error := blame_nodes(node.pipeline)) is not None:
                return error
        elif (why := _obstacle(node.fn)) is not None:
            return CodecError(
                f"The node '{node.name}' cannot travel to another process: {why}. It holds something that cannot, as a "
                f"global, a default or from around it. {_WAY_OUT}"
            )
    return None


def blame_outputs(names: Iterable[str], values: Iterable[Any]) -> CodecError:
    """An error that names the first output that cannot travel back."""
    for name, value in zip(names, values, strict=True):
        why = _obstacle(value)
        if why is not None:
            return CodecError(
                f"The output '{name}' (a {type(value).__name__}) cannot travel back from its process: {why}. Return "
                f"what can be pickled, or ask for other outputs by output_name."
            )
    return CodecError("What a worker has made cannot travel back, though each output alone can.")


def _obstacle(value: Any) -> str | None:
    try:
        dumps(value)
    except Exception as error:  # whatever pickle or the value's own code raises
        return str(error) or type(error).__name__
    return None
