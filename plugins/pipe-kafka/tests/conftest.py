"""A cluster to test against: the one that the client library brings for that, in this process, with real sockets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

SECRET = "c4nary-s3cret"
"""Must never be seen in anything that a test looks at."""
PARTITIONS = 4
"""The cluster makes topics when they are first written to, with so many partitions."""
SECONDS = 20.0

_quiet = logging.getLogger("quiet")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False
_numbers = iter(range(1_000_000))


class Cluster:
    """Three brokers, and clients of the tests' own."""

    def __init__(self) -> None:
        settings = {"bootstrap.servers": "none:1", "test.mock.num.brokers": 3}
        self._brokers: Producer | None = Producer(settings, logger=_quiet)
        found = self._brokers.list_topics(timeout=SECONDS).brokers.values()
        self.servers = ",".join(f"{one.host}:{one.port}" for one in found)
        self._producer = Producer({"bootstrap.servers": self.servers}, logger=_quiet)
        self._asks = Consumer({"bootstrap.servers": self.servers, "group.id": "tests"}, logger=_quiet)

    def end(self) -> None:
        """The brokers are gone."""
        self._brokers = None

    def make(self, topic: str) -> None:
        """Make a topic."""
        assert self._producer.list_topics(topic, timeout=SECONDS).topics[topic].error is None

    def send(self, topic: str, values: Sequence[bytes | None], partition: int = 0, **said: Any) -> None:
        """Write messages."""
        self.make(topic)
        for value in values:
            self._producer.produce(topic, value, partition=partition, **said)
        assert self._producer.flush(SECONDS) == 0

    def count(self, topic: str) -> int:
        """How many messages there are."""
        places = [TopicPartition(topic, one) for one in range(PARTITIONS)]
        return sum(self._asks.get_watermark_offsets(one, timeout=SECONDS)[1] for one in places)

    def messages(self, topic: str) -> list[Any]:
        """All messages, by partition and offset."""
        settings = {
            "bootstrap.servers": self.servers,
            "group.id": "tests",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
        client = Consumer(settings, logger=_quiet)
        try:
            partitions = client.list_topics(topic, timeout=SECONDS).topics[topic].partitions
            client.assign([TopicPartition(topic, one, 0) for one in partitions])
            found, ended = [], 0
            while ended < len(partitions):
                message = client.poll(SECONDS)
                assert message is not None
                if message.error() is None:
                    found.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    ended += 1
            return sorted(found, key=lambda one: (one.partition(), one.offset()))
        finally:
            client.close()

    def values(self, topic: str) -> list[Any]:
        """All values."""
        return [message.value() for message in self.messages(topic)]

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """The offsets that a group has committed."""
        client = Consumer({"bootstrap.servers": self.servers, "group.id": group}, logger=_quiet)
        try:
            asked = [TopicPartition(topic, one) for one in range(PARTITIONS)]
            return {one.partition: one.offset for one in client.committed(asked, timeout=SECONDS)}
        finally:
            client.close()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """A cluster."""
    return Cluster()


@pytest.fixture
def own_cluster() -> Cluster:
    """A cluster that no other test uses."""
    return Cluster()


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"topic-{next(_numbers)}"


@pytest.fixture
def url(cluster: Cluster, topic: str) -> str:
    """The URL of the topic."""
    return f"kafka://{cluster.servers}/{topic}"


@pytest.fixture
def lines(cluster: Cluster, topic: str) -> list[bytes]:
    """Ten JSON values, in two partitions of the topic."""
    values = [b'{"id":%d}' % i for i in range(10)]
    cluster.send(topic, values[:6], 0)
    cluster.send(topic, values[6:], 2)
    return values
