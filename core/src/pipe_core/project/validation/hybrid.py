"""Pipelines of batch nodes and streams: whether the streams can go on from what the batch nodes leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe_core.kernel.errors import PipeError
from pipe_core.project.dependencies import (
    extract_pipeline_nodes,
    get_node_dependencies,
    needed_by_each,
    needed_by_others,
    topological_sort,
)
from pipe_core.project.validation.conflicts import find_conflicts
from pipe_core.project.validation.format_policy import FormatPolicy
from pipe_core.project.validation.nodes_read import (
    DataPlace,
    checkpoint_of,
    is_declared,
    is_streaming,
    places_of,
)
from pipe_core.project.validation.required import validate_node_configs, validate_pipeline_config


def validate_hybrid_pipeline(
    pipeline: Any,
    node_configs: Mapping[str, Any],
    format_policy: Any = None,
    *,
    catalog: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Look whether a pipeline of batch nodes and streams can run. Nothing runs, nothing is read, nothing is raised.

    A node is a stream where it has ``streaming:``, or where its ``input`` is a mapping with a format that only streams
    read.

    Args:
        pipeline: The configuration of the pipeline, as a model or a mapping.
        node_configs: The configuration of each node, alike.
        format_policy: A `FormatPolicy`, or what is otherwise than usual as a mapping.
        catalog: The data sets that nodes name. Default: of names nothing is known.

    Returns:
        A report: ``is_valid``; ``errors`` and ``warnings`` as texts; ``batch_nodes`` and ``streaming_nodes``;
        ``cross_dependencies``, for each stream the batch nodes that it needs; ``format_compatibility``, for each
        pair of a batch node and a stream the formats and whether they fit; ``resource_conflicts``.
    """
    report = _Report(catalog or {})
    try:
        report.policy = FormatPolicy.of(format_policy)
        validate_pipeline_config(pipeline)
        names = extract_pipeline_nodes(pipeline)
        validate_node_configs(names, node_configs)
        report.look({name: node_configs[name] for name in dict.fromkeys(names)})
    except PipeError as error:
        report.errors.append(str(error))
    except Exception as error:  # whatever somebody gives as a configuration is told of, too
        report.errors.append(f"The pipeline cannot be understood: {type(error).__name__}: {error}")
    return report.as_dict()


class _Report:
    def __init__(self, catalog: Mapping[str, Any]) -> None:
        self.policy = FormatPolicy()
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._catalog = catalog
        self._nodes: Mapping[str, Any] = {}
        self._streams: list[str] = []
        self._cross: dict[str, list[str]] = {}
        self._formats: list[dict[str, Any]] = []
        self._conflicts: list[dict[str, Any]] = []

    def as_dict(self) -> dict[str, Any]:
        return {
            "is_valid": not self.errors,
            "errors": self.errors,
            "warnings": self.warnings,
            "batch_nodes": [name for name in self._nodes if name not in self._streams],
            "streaming_nodes": self._streams,
            "cross_dependencies": self._cross,
            "format_compatibility": self._formats,
            "resource_conflicts": self._conflicts,
        }

    def look(self, nodes: Mapping[str, Any]) -> None:
        self._nodes = nodes
        self._streams = [name for name, config in nodes.items() if is_streaming(config, self.policy)]
        needs: Mapping[str, list[str]] | None = None
        try:
            needs = needed_by_each(list(nodes), nodes)
            topological_sort(needed_by_others(needs))
        except PipeError as error:
            self.errors.append(str(error))
        for name, config in nodes.items():
            if name in self._streams:
                self._stream(name, config, (needs or {}).get(name, []))
            else:
                self._batch(name, config)
            self._meet(name, (needs or {}).get(name, []))
        for conflict in find_conflicts(nodes, self._catalog, needs or {}):
            if needs is not None or conflict.kind == "writes":  # without an order of nodes none is missing
                self._conflicts.append(conflict.to_dict())
                self.warnings.append(str(conflict))

    # --- nodes ---

    def _batch(self, name: str, config: Any) -> None:
        for place in places_of(config, "input", self._catalog):
            self._known(f"Batch node '{name}'", "input", place, self.policy.batch_inputs)
        for place in places_of(config, "output", self._catalog):
            self._known(f"Batch node '{name}'", "output", place, self.policy.batch_outputs)

    def _stream(self, name: str, config: Any, needs: list[str]) -> None:
        who = f"Streaming node '{name}'"
        inputs, outputs = (places_of(config, side, self._catalog) for side in ("input", "output"))
        if not inputs and not (is_declared(config) and get_node_dependencies(config)):
            self.errors.append(f"{who} has no input: a stream reads from a source.")
        if not outputs and not is_declared(config):
            self.errors.append(f"{who} has no output: a stream writes to a sink.")
        followed = len(inputs)
        if is_declared(config):  # it follows the first one, or what another stream hands over; the others are loaded
            followed = 0 if any(other in self._streams for other in needs) else 1
        for number, place in enumerate(inputs):
            if place.name is None and place.format is None:
                self.errors.append(f"{who} has an input without a format.")
            loaded = frozenset[str]() if number < followed else self.policy.batch_inputs
            self._known(who, "input", place, self.policy.streaming_inputs | loaded)
            self._checkpoint(who, config, place, [*inputs, *outputs])
        for place in outputs:
            self._known(who, "output", place, self.policy.streaming_outputs)

    def _known(self, who: str, side: str, place: DataPlace, known: frozenset[str]) -> None:
        if place.format is not None and place.format not in known:
            self.errors.append(
                f"{who} has the {side} {place} of the format '{place.format}', which is none of those that it can "
                f"have: {', '.join(sorted(known))}."
            )

    def _checkpoint(self, who: str, config: Any, place: DataPlace, places: list[DataPlace]) -> None:
        if place.format not in self.policy.checkpoint_required or is_declared(config):
            return
        if checkpoint_of(config, places) is None:
            self.errors.append(
                f"{who} reads {place.format} and does not say where it keeps how far it is: write checkpoint_location "
                f"among the options of its input, or streaming: true, which keeps that with the run."
            )

    # --- where they meet ---

    def _meet(self, name: str, needs: list[str]) -> None:
        for other in needs:
            if name in self._streams and other not in self._streams:
                self._cross.setdefault(name, []).append(other)
                self._go_on(other, name)
            elif name not in self._streams and other in self._streams:
                self.errors.append(
                    f"Batch node '{name}' depends on the streaming node '{other}', which does not end. Make '{name}' a "
                    f"stream, or let it read what '{other}' writes in a run of its own."
                )

    def _go_on(self, batch: str, stream: str) -> None:
        """Whether the stream can go on from what the batch node leaves."""
        left = places_of(self._nodes[batch], "output", self._catalog)
        read = places_of(self._nodes[stream], "input", self._catalog)
        lost = [one for one in left if not one.is_stored and (self._catalog or one.name is None)]
        is_order_alone = is_declared(self._nodes[stream]) and bool(read)
        if len(lost) == len(left) and not is_order_alone:
            self.errors.append(
                f"Streaming node '{stream}' depends on the batch node '{batch}', which stores nothing: give '{batch}' "
                f"an output with a path."
            )
        for written in left:
            for taken in read:
                # a stream that says so itself may follow something else: what it depends on is only done before
                is_meant = not is_declared(self._nodes[stream]) or written.key == taken.key
                if is_meant and written.format is not None and taken.format is not None:
                    self._pair(batch, stream, written, taken)

    def _pair(self, batch: str, stream: str, written: DataPlace, taken: DataPlace) -> None:
        fits = self.policy.is_compatible(str(written.format), str(taken.format))
        self._formats.append(
            {
                "batch_node": batch,
                "streaming_node": stream,
                "batch_format": written.format,
                "streaming_format": taken.format,
                "compatible": fits,
            }
        )
        if not fits:
            self.errors.append(
                f"Incompatible formats: batch node '{batch}' writes {written.format}, and streaming node '{stream}', "
                f"which depends on it, reads {taken.format}."
            )
        elif taken.format != "kafka" and written.path and taken.path and not _is_within(written.path, taken.path):
            self.warnings.append(
                f"Batch node '{batch}' writes to '{written.path}', and streaming node '{stream}', which depends on it, "
                f"reads from '{taken.path}': is that meant?"
            )


def _is_within(written: str, read: str) -> bool:
    inner, outer = (one.removeprefix("./").rstrip("/") for one in (written, read))
    return inner == outer or inner.startswith(f"{outer}/") or outer.startswith(f"{inner}/")
