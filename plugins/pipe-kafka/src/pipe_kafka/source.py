"""Topics as sources: up to an end, or followed from a position on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from pipe_core import OptionsError, SourceError
from pipe_core.kernel.contracts import Rejection, SizeNow
from pipe_kafka.client import logger
from pipe_kafka.followed import FollowedMessages
from pipe_kafka.messages import Layout, MessageChunk
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place
from pipe_kafka.topic_reader import Bounds, TopicReader

FROM: Final = "from"
"""Where a position that has none before it says where it begins: what is kept of a topic may begin later by then."""
_BATCH: Final = 1000


class KafkaSource:
    """The messages that were in a topic when it was opened, partition by partition.

    Args:
        place: The topic.
        options: What to read of it, and how.
    """

    live = True
    fields = None
    travels: ClassVar[tuple[type, ...]] = (MessageChunk,)

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        self._place = place
        self._options = options
        self._layout = Layout.of(options)
        self._reader: TopicReader | None = None
        self._bounds: dict[int, Bounds] = {}
        self._size: int | None = None

    @property
    def name(self) -> str:
        """The servers and the topic."""
        return self._place.name

    @property
    def size(self) -> int | None:
        """About how many messages there are. Known after `open`."""
        return self._size

    def open(self) -> None:
        """Connect, and look what is there.

        Raises:
            SourceNotFoundError: There is no such topic.
            SourceError: No broker answers within the option `timeout`, or refuses.
            OptionsError: A setting in `config` does not exist.
        """
        self._reader = TopicReader(self._place, self._options)
        self._bounds = self._reader.bounds()
        self._size = sum(bounds.end - bounds.begin for bounds in self._bounds.values())

    def splits(self, size: SizeNow) -> None:
        """None: the driver reads."""
        return

    def chunks(self, size: SizeNow) -> Iterator[MessageChunk]:
        """Chunks of ``size()`` messages, up to what was the end when the source was opened."""
        reader, waiting = self._opened, list[Any]()
        begin = self._begin(reader)
        try:
            for partition, bounds in self._bounds.items():
                for messages in reader.messages(partition, begin[partition], bounds.end):
                    waiting += messages
                    while len(waiting) >= (count := max(1, size())):
                        yield MessageChunk.of(waiting[:count], self._layout)
                        del waiting[:count]
        except SourceError:
            if waiting:
                yield MessageChunk.of(waiting, self._layout)
            raise
        if waiting:
            yield MessageChunk.of(waiting, self._layout)

    def follow(
        self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None
    ) -> FollowedMessages:
        """The records that have come since a position, at most *limit*; with *until*, exactly those before it.

        A position has the offset of each partition. The order is by partition and offset, so that the same range is
        the same records. What cannot be read is left out, and told to the log with its place.

        Raises:
            SourceError: What is behind *since* is not kept any more, or the topic is another one; or, with
                ``malformed="error"``, a message cannot be read.
            OptionsError: It is to begin at the latest message, which is another one each time.
        """
        reader = self._opened
        begin = self._since(reader, since, until)
        if self._options.group is not None and since is not None:
            reader.tell_group(begin)
        if until is not None:
            ends = self._until(begin, until)
            records, rejected = self._read(reader, begin, ends)
            return FollowedMessages(records, dict(until), rejected)
        at, records, rejected = dict(begin), list[Any](), list[Rejection]()
        ends = {one: bounds.end for one, bounds in self._bounds.items()}
        while not records and at != ends:  # a whole range may be what transactions took, or be malformed
            target = _shared(at, ends, max(1, limit))
            records, bad = self._read(reader, at, target)
            rejected += bad
            at = target
        position: dict[str, Any] = _noted(at)
        if since is None:
            position[FROM] = _noted(begin)
        return FollowedMessages(records, position, rejected)

    def interrupt(self) -> None:
        """From any thread: stop waiting for messages."""
        if self._reader is not None:
            self._reader.stop()

    def close(self) -> None:
        """Close the connection."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    # --- where to begin ---

    @property
    def _opened(self) -> TopicReader:
        if self._reader is None:
            raise SourceError(f"{self.name} is not open for reading.", source=self.name)
        return self._reader

    def _begin(self, reader: TopicReader) -> dict[int, int]:
        start = self._options.start
        if start == "latest":
            return {one: bounds.end for one, bounds in self._bounds.items()}
        if isinstance(start, datetime):
            return reader.at(start, self._bounds)
        earliest = {one: bounds.begin for one, bounds in self._bounds.items()}
        return self._known(reader, earliest, start) if isinstance(start, dict) else earliest

    def _since(
        self, reader: TopicReader, since: Mapping[str, Any] | None, until: Mapping[str, Any] | None
    ) -> dict[int, int]:
        earliest = {one: bounds.begin for one, bounds in self._bounds.items()}
        if since is not None:
            return self._known(reader, earliest, self._offsets(since))
        if until is not None and FROM in until:
            return self._known(reader, earliest, self._offsets(until[FROM]))
        if self._options.start == "latest":
            text = (
                "A topic that is followed cannot start at 'latest': that is another place after each interruption, and "
                "what came meanwhile would be lost. Give a time, or offsets."
            )
            raise OptionsError(text, problems={"start": "is 'latest', and the topic is followed"})
        return self._begin(reader)

    def _known(self, reader: TopicReader, earliest: Mapping[int, int], said: Mapping[int, int]) -> dict[int, int]:
        """The offsets that were said, of partitions and messages that are there. New partitions are read whole."""
        for one, offset in said.items():
            if one not in self._bounds:
                raise reader.refused(
                    f"it has no partition {one}, of which offset {offset:,} was said. Was the topic made anew? Its "
                    f"partitions: {', '.join(map(str, self._bounds))}"
                )
            if not self._bounds[one].begin <= offset <= self._bounds[one].end:
                raise reader.gone(one, offset, self._bounds[one])
        return {**earliest, **said}

    def _until(self, begin: Mapping[int, int], until: Mapping[str, Any]) -> dict[int, int]:
        ends = self._offsets({name: offset for name, offset in until.items() if name != FROM})
        for one, end in ends.items():
            if one in self._bounds and end > self._bounds[one].end:
                raise self._opened.gone(one, end, self._bounds[one])
        return {one: ends.get(one, offset) for one, offset in begin.items()}

    def _offsets(self, position: Mapping[str, Any]) -> dict[int, int]:
        try:
            return {int(name): int(offset) for name, offset in position.items() if name != FROM}
        except (TypeError, ValueError, AttributeError):
            text = f"{self.name} cannot be followed: what was noted down is no position of a topic: {position!r}."
            raise SourceError(text, source=self.name) from None

    # --- reading a range ---

    def _read(
        self, reader: TopicReader, begin: Mapping[int, int], ends: Mapping[int, int]
    ) -> tuple[list[Any], list[Rejection]]:
        records, rejected = list[Any](), list[Rejection]()
        for partition in sorted(begin):
            for messages in reader.messages(partition, begin[partition], ends[partition]):
                for batch in MessageChunk.of(messages, self._layout).batches(_BATCH):
                    records += [record for i, record in enumerate(batch.records) if i not in batch.rejected]
                    rejected += [batch.rejected[i] for i in sorted(batch.rejected)]
        for why in rejected:
            if self._options.malformed == "error":
                hint = "Remove the option malformed to leave such messages out"
                raise reader.refused(f"{why.message.rstrip('.')}. {hint}")
            logger.warning("%s is left out (%s). %s", self.name, why.type, why.message)
        return records, rejected


def _shared(at: Mapping[int, int], ends: Mapping[int, int], limit: int) -> dict[int, int]:
    """Up to where to read at most *limit* messages, so that no partition waits for the others."""
    found, left = {}, limit
    for number, one in enumerate(sorted(at, key=lambda one: ends[one] - at[one])):
        count = min(ends[one] - at[one], left // (len(at) - number))
        found[one] = at[one] + count
        left -= count
    return {one: found[one] for one in sorted(found)}


def _noted(offsets: Mapping[int, int]) -> dict[str, Any]:
    return {str(one): offset for one, offset in sorted(offsets.items())}
