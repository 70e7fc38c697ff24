"""What a topic is asked: which partitions it has, what is in them, and the messages of a range."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipe_core import SourceError, SourceNotFoundError
from pipe_core.kernel.errors import PositionLostError
from pipe_kafka.client import Listener, consumer
from pipe_kafka.options import KafkaOptions
from pipe_kafka.place import Place

_LOOK: Final = 0.2
"""Seconds between two looks whether anybody wants the reading to stop."""
_MOST: Final = 1000
_UNKNOWN: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


class Bounds(NamedTuple):
    """What a partition holds: from an offset, and before another one."""

    begin: int
    end: int


class TopicReader:
    """Reads a topic with a consumer of its own, which belongs to no group. Every wait has the limit of the options.

    Args:
        place: The topic.
        options: How to reach it.
    """

    def __init__(self, place: Place, options: KafkaOptions) -> None:
        self._place = place
        self._options = options
        self._timeout = options.timeout
        self._listener = Listener(place, options)
        self._consumer: Consumer | None = consumer(place, options, self._listener)
        self._stopped = False

    def partitions(self) -> list[int]:
        """The numbers of the partitions.

        Raises:
            SourceNotFoundError: There is no such topic.
            SourceError: No broker answers.
        """
        try:
            found = self._opened.list_topics(self._place.topic, timeout=self._timeout).topics[self._place.topic]
        except KafkaException as error:
            raise self.error(error) from None
        if found.error is not None and found.error.code() not in _UNKNOWN:
            raise self.error(found.error)
        if found.error is not None or not found.partitions:
            raise SourceNotFoundError(
                f"There is no topic '{self._place.topic}' at {self._place.servers}. Is its name right, and does it "
                f"exist already?",
                source=self._place.name,
            )
        return sorted(found.partitions)

    def bounds(self) -> dict[int, Bounds]:
        """What there is in each partition now. Messages of transactions that have not ended do not count."""
        try:
            return {one: Bounds(*self._watermarks(one)) for one in self.partitions()}
        except KafkaException as error:
            raise self.error(error) from None

    def at(self, moment: datetime, bounds: Mapping[int, Bounds]) -> dict[int, int]:
        """The offsets of the first messages that are not older than *moment*."""
        stamp = round(moment.timestamp() * 1000)
        asked = [TopicPartition(self._place.topic, one, stamp) for one in bounds]
        try:
            found = self._opened.offsets_for_times(asked, timeout=self._timeout)
        except KafkaException as error:
            raise self.error(error) from None
        for one in found:
            if one.error is not None:
                raise self.error(one.error)
        return {one.partition: one.offset if one.offset >= 0 else bounds[one.partition].end for one in found}

    def messages(self, partition: int, begin: int, end: int) -> Iterator[list[Any]]:
        """The messages of a range of offsets, as they come. Fewer than offsets: some are taken by transactions.

        Raises:
            SourceError: They are gone, or no broker answers.
        """
        if begin >= end or self._stopped:
            return
        client = self._opened
        client.assign([TopicPartition(self._place.topic, partition, begin)])
        try:
            patience = time.monotonic() + self._timeout
            at = begin
            while at < end and not self._stopped:
                found, at = self._taken(partition, at, end)
                if found:
                    yield found
                    patience = time.monotonic() + self._timeout
                elif at < end and time.monotonic() > patience:
                    raise self._silent(partition, at)
        except KafkaException as error:
            raise self.error(error) from None
        finally:
            if self._consumer is not None:
                client.unassign()

    def tell_group(self, offsets: Mapping[int, int]) -> None:
        """Commit *offsets* for the group of the options."""
        told = [TopicPartition(self._place.topic, one, offset) for one, offset in offsets.items()]
        try:
            answers = self._opened.commit(offsets=told, asynchronous=False) or ()
        except KafkaException as error:
            raise self.error(error, f"the group '{self._options.group}' cannot be told its offsets: ") from None
        for one in answers:
            if one.error is not None:
                raise self.error(one.error, f"the group '{self._options.group}' cannot be told its offsets: ")

    def stop(self) -> None:
        """From any thread: end the reading soon, as if there was nothing more."""
        self._stopped = True

    def close(self) -> None:
        """Close the consumer."""
        client, self._consumer = self._consumer, None
        if client is not None:
            client.close()

    def error(self, error: KafkaError | KafkaException, what: str = "") -> SourceError:
        """The topic cannot be read, because of what the client says."""
        if self._consumer is not None:
            self._consumer.poll(0)  # what led to it is told there
        return self.refused(f"{what}{self._listener.reason(error)}")

    def refused(self, reason: str) -> SourceError:
        """The topic cannot be read."""
        return SourceError(self._told(reason), source=self._place.name)

    def _told(self, reason: str) -> str:
        end = "" if reason.endswith((".", "?")) else "."
        return f"{self._place.name} cannot be read: {reason}{end}"

    def gone(self, partition: int, begin: int, bounds: Bounds) -> PositionLostError:
        """The messages from *begin* on are not there."""
        return PositionLostError(self._told(self._why_gone(partition, begin, bounds)), source=self._place.name)

    def _why_gone(self, partition: int, begin: int, bounds: Bounds) -> str:
        if begin > bounds.end:
            return (
                f"partition {partition} ends at offset {bounds.end:,}, and offset {begin:,} was noted down or said. "
                f"Was the topic made anew, or is it another cluster? What is known does not fit it: start afresh"
            )
        return (
            f"the messages of partition {partition} from offset {begin:,} on are gone, the first one there is "
            f"{bounds.begin:,}: the topic keeps them for a limited time or up to a size (retention). They cannot be "
            f"had back. Start afresh, and let the topic keep them for longer"
        )

    # --- the client ---

    @property
    def _opened(self) -> Consumer:
        if self._consumer is None:
            raise SourceError(f"{self._place.name} is not open for reading.", source=self._place.name)
        return self._consumer

    def _watermarks(self, partition: int) -> tuple[int, int]:
        asked = TopicPartition(self._place.topic, partition)
        found: tuple[int, int] | None = self._opened.get_watermark_offsets(asked, timeout=self._timeout)
        if found is None:
            raise self.refused(f"{self._place.servers} did not answer within {self._timeout:g} s (option timeout)")
        return found

    def _taken(self, partition: int, at: int, end: int) -> tuple[list[Any], int]:
        """What has come of the range, and up to which offset it is done."""
        first = self._opened.poll(_LOOK)
        if first is None:
            return [], at
        found = list[Any]()
        for message in (first, *self._opened.consume(_MOST, 0)):
            error, offset = message.error(), message.offset()
            if error is None:
                at = (at if offset is None else offset) + 1
                if at > end:  # behind a gap at the end of the range
                    return found, end
                found.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                at = max(at, offset or 0)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise self.gone(partition, at, Bounds(*self._watermarks(partition)))
            else:
                raise KafkaException(error)
            if at >= end:
                break
        return found, at

    def _silent(self, partition: int, at: int) -> SourceError:
        self._opened.poll(0)
        said = f"nothing came of partition {partition} from offset {at:,} on for {self._timeout:g} s (option timeout)"
        return self.error(KafkaError(KafkaError._TIMED_OUT, said))
