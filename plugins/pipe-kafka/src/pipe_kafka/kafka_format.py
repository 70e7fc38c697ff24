"""The format `kafka`: topics."""

from __future__ import annotations

from typing import Any

from pipe_core import OptionsError
from pipe_kafka.options import READING, WRITING, KafkaOptions
from pipe_kafka.place import parse
from pipe_kafka.sink import KafkaSink
from pipe_kafka.source import KafkaSource
from pipe_kafka.staged_sink import StagedKafkaSink


class KafkaFormat:
    """Reads and appends to topics."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options

    def source(self, target: Any, /) -> KafkaSource:
        """A source over the topic *target*."""
        place, options = parse(target, self._options)
        _refuse(options, WRITING, "writing")
        return KafkaSource(place, options)

    def sink(self, target: Any, /) -> KafkaSink:
        """A sink into the topic *target*."""
        place, options = parse(target, self._options)
        _refuse(options, READING, "reading")
        return KafkaSink(place, options) if options.staging is None else StagedKafkaSink(place, options)


def _refuse(options: KafkaOptions, names: frozenset[str], purpose: str) -> None:
    for name in sorted(options.model_fields_set & names):
        text = f"The option '{name}' of the format 'kafka' is for {purpose} only. Leave it out here."
        raise OptionsError(text, problems={name: f"is for {purpose} only"})
