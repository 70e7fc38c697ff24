"""The part of the conformance kit that is about reading. The rest of it looks at files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipe_core import get_format
from pipe_core.kernel.contracts import Mode
from pipe_core.testing.formatting.reading import ReadingTests


class Topics:
    """The format, with a topic for each path of the kit.

    Args:
        form: The format.
        servers: Of the cluster.
        written: The topics of the paths that were written to.
    """

    def __init__(self, form: Any, servers: str, written: dict[Path, str]) -> None:
        self._form, self._servers, self._written = form, servers, written

    def source(self, path: Path, /) -> Any:
        """A source over its topic."""
        return self._form.source(f"kafka://{self._servers}/{self._written.get(path, f'missing-{path.name}')}")


class TestKafka(ReadingTests):
    format = "kafka"
    suffix = ".kafka"
    there: ClassVar[set[str]] = set()

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: Any) -> None:
        self.servers, self.written = cluster.servers, dict[Path, str]()

    def make_format(self) -> Any:
        """The format under test."""
        return Topics(super().make_format(), self.servers, self.written)

    def write(self, path: Path, *, pieces: int = 3, mode: Mode = "append") -> None:
        """What is the same for several tests is written once."""
        self.written[path] = topic = f"kit-{pieces}{self.suffix}"
        if topic in self.there:
            return
        # Without a key, all messages go to one partition: the order of a topic is that of its partitions.
        sink: Any = get_format("kafka", partitioner="consistent").sink(f"kafka://{self.servers}/{topic}")
        sink.open(mode)
        self._put(sink, pieces)
        sink.commit()
        sink.close()
        self.there.add(topic)
