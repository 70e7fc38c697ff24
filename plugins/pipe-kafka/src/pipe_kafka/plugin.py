"""What the kernel asks: the options and the scheme of ``kafka``. Imports no client."""

from __future__ import annotations

from typing import Any

from pipe_core import FormatSpec, hookimpl
from pipe_core.kernel.contracts import Format
from pipe_kafka.options import KafkaOptions


def _kafka(options: Any) -> Format:
    from pipe_kafka.kafka_format import KafkaFormat

    return KafkaFormat(options)


_SPEC = FormatSpec(_kafka, KafkaOptions, "Topics of Apache Kafka", schemes=("kafka",))


@hookimpl
def pipe_format(name: str) -> FormatSpec | None:
    """Describe ``kafka``."""
    return _SPEC if name == "kafka" else None
