"""What nodes need of the workers that they run on, and whether there is such a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipe_core.kernel.errors import MissingResourcesError, UnsupportedCapabilityError
from pipe_core.runtime.resources import in_words, missing, times
from pipe_core.runtime.select import offering

if TYPE_CHECKING:
    from pipe_core.runtime.executor import Executor


def unable(node: str, resources: Mapping[str, float], executor: str) -> UnsupportedCapabilityError:
    """Why *node* does not run on *executor*, which knows no resources."""
    able = offering("resources")
    where = "the calling thread" if executor == "sync" else f"'{executor}'"
    who = f"Installed executors that do: {', '.join(able)}" if able else "No installed executor does; install pipe-ray"
    return UnsupportedCapabilityError(
        f"The node '{node}' needs {in_words(resources)}, and {where} does not know what its workers have. {who}. Say "
        f"where the node runs, as @node(executor=..., resources=...), or leave the resources out.",
        capability="resources",
        executor=executor,
        able=able,
    )


def room(node: str, resources: Mapping[str, float], executor: Executor) -> int:
    """How many calls of *node* could run at once on *executor*, if nothing else ran there.

    Raises:
        MissingResourcesError: None; says what there is.
    """
    workers = executor.resources()
    found = sum(times(one, resources) for one in workers)
    if not found:
        text = f"The node '{node}' cannot run: {missing(resources, executor.name, workers)}"
        raise MissingResourcesError(text, resources=resources, executor=executor.name)
    return found
