"""Hyperparameters from several places, merged by key: the defaults, the pipeline, the node, and what a person said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipe_core.kernel.errors import OptionsError

LAYERS: Final = ("defaults", "pipeline", "node", "explicit")
"""Where a value may come from. A later one wins."""


@dataclass(frozen=True, slots=True)
class Hyperparams:
    """Merged hyperparameters, and where each value comes from.

    Attributes:
        values: The values that hold, in the order in which the names were first said.
        provenance: For each name, the one of `LAYERS` whose value holds.
        said: For each name, all that was said: pairs of a layer and its value, the one that holds last.
    """

    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    said: dict[str, tuple[tuple[str, Any], ...]] = field(default_factory=dict)

    def explain(self, name: str) -> str:
        """One value and its origin in a line: ``max_depth = 8 (explicit; before it: pipeline 6, defaults 3)``.

        Raises:
            KeyError: There is no such hyperparameter.
        """
        *before, (layer, value) = self.said[name]
        others = ", ".join(f"{one} {other!r}" for one, other in reversed(before))
        return f"{name} = {value!r} ({layer}" + (f"; before it: {others})" if others else ")")


def merge_hyperparams(
    *,
    defaults: Mapping[str, Any] | None = None,
    pipeline: Mapping[str, Any] | None = None,
    node: Mapping[str, Any] | None = None,
    explicit: Mapping[str, Any] | None = None,
) -> Hyperparams:
    """Merge four layers: ``defaults < pipeline < node < explicit``.

    A value replaces the whole value of the same name: what is inside of a list or a mapping is not merged. ``None`` is
    a value like any other. The layers themselves are not changed.

    Args:
        defaults: Of the project.
        pipeline: Of the pipeline.
        node: Of the node.
        explicit: What the caller or the command line said.

    Raises:
        OptionsError: A layer is no mapping, or a name in it is no text.
    """
    said: dict[str, tuple[tuple[str, Any], ...]] = {}
    for layer, values in zip(LAYERS, (defaults, pipeline, node, explicit), strict=True):
        for name, value in _checked(layer, values).items():
            said[name] = (*said.get(name, ()), (layer, value))
    return Hyperparams(
        values={name: told[-1][1] for name, told in said.items()},
        provenance={name: told[-1][0] for name, told in said.items()},
        said=said,
    )


def _checked(layer: str, values: Any) -> Mapping[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise OptionsError(
            f"The hyperparameters of '{layer}' are of type {kind}: give a mapping of names and values.",
            problems={layer: "no mapping"},
        )
    wrong = [repr(name) for name in values if not isinstance(name, str)]
    if wrong:
        raise OptionsError(
            f"The hyperparameters of '{layer}' have names that are no text: {', '.join(wrong)}. Write them in quotes.",
            problems={layer: f"names that are no text: {', '.join(wrong)}"},
        )
    return values
