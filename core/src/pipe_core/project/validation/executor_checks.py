"""Whether executors can do what nodes ask of them, known from their plugins; none is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, cast

from pipe_core.kernel.errors import PipeError
from pipe_core.kernel.kernel import Choice, current_kernel
from pipe_core.kernel.specs import Capabilities, ExecutorSpec
from pipe_core.project.config.models import NodeConfig
from pipe_core.runtime.select import offering

DEFAULT: Final = "sync"
"""Where nodes run where nobody says anything."""


@dataclass(frozen=True, slots=True)
class Place:
    """An executor that was not started.

    Attributes:
        name: Its name.
        capabilities: What it can do.
        can_give_up: Whether a call that runs can be ended, or left behind.
    """

    name: str
    capabilities: Capabilities
    can_give_up: bool


@dataclass(slots=True)
class Places:
    """Executors by how they were chosen. Each is looked up once."""

    _known: dict[str, Place | PipeError] = field(default_factory=dict)

    def of(self, selection: Any) -> Place | PipeError:
        """The executor that *selection* means, None for what the settings say; or why there is none."""
        key = repr(selection)
        if key not in self._known:
            try:
                self._known[key] = _place(selection)
            except PipeError as error:
                self._known[key] = error
        return self._known[key]


def _place(selection: Any) -> Place:
    chosen = current_kernel().choose("executors", selection, default=DEFAULT)
    if isinstance(chosen, Choice):
        found, name = cast(ExecutorSpec, chosen.spec).capabilities, chosen.entry.name
        return Place(name, found, found.hard_timeout or found.isolation == "thread")
    found = getattr(chosen, "capabilities", Capabilities())
    name = getattr(chosen, "name", type(chosen).__name__)
    return Place(name, found, getattr(chosen, "can_give_up", found.hard_timeout))


def unkept(node: str, config: NodeConfig, place: Place) -> dict[str, str]:
    """What *node* asks for and *place* cannot do: the reason for each key of the node."""
    where = "the calling thread" if place.capabilities.isolation == "none" else f"'{place.name}'"
    found = {}
    if config.timeout is not None and not place.can_give_up:
        found["timeout"] = (
            f"the node '{node}' has a timeout, and {where} cannot end what runs: let it run on 'threads', 'asyncio' or "
            f"an executor of processes, or take the timeout away"
        )
    if config.resources and not place.capabilities.resources:
        able = ", ".join(offering("resources")) or "none that is installed; pip install pipe-ray"
        found["resources"] = (
            f"the node '{node}' needs {', '.join(config.resources)} of its worker, and {where} does not know what its "
            f"workers have. Executors that do: {able}"
        )
    return found
