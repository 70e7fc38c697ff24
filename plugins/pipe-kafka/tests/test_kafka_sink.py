"""Appending to a topic."""

from __future__ import annotations

import contextlib
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest

from pipe_core import OptionsError, SinkError, get_format
from pipe_core.testing.formats import PlainSerializer
from pipe_kafka import UnsendableError

SECRET = "c4nary-s3cret"


@contextlib.contextmanager
def opened(target: str, **options: Any) -> Iterator[Any]:
    sink: Any = get_format("kafka", **options).sink(target)
    try:
        sink.open("append")
        yield sink
    finally:
        sink.close()


def put(sink: Any, records: list[Any], pieces: int = 2) -> None:
    encoder = cloudpickle.loads(cloudpickle.dumps(sink.encoder()))
    row = encoder.bind(PlainSerializer(None))
    payloads = [encoder.join([row(record) for record in records[i::pieces]]) for i in range(pieces)]
    sink.write(encoder.merge(payloads), len(records))


def marks(messages: list[Any]) -> list[str]:
    return [value.decode() for message in messages for name, value in message.headers() if name == "pipe-key"]


def test_a_commit_has_seen_every_message_confirmed(cluster: Any, url: str, topic: str) -> None:
    with opened(url, key="id", run="r1") as sink:
        assert (sink.name, sink.delivery, sink.exists()) == (url, "at-least-once", False)
        put(sink, [{"id": f"k{i}", "n": i} for i in range(100)])
        sink.commit()
        messages = cluster.messages(topic)
        assert sink.exists()
    assert sorted(message.value() for message in messages) == sorted(
        b'{"id":"k%d","n":%d}' % (i, i) for i in range(100)
    )
    assert {message.key() for message in messages} == {b"k%d" % i for i in range(100)}
    assert sorted(marks(messages)) == sorted(f"r1:{i}" for i in range(100))
    assert len({message.partition() for message in messages}) > 1


def test_the_key_chooses_the_partition_as_it_is_told(cluster: Any, url: str, topic: str) -> None:
    murmur2 = 479470107  # of "abc", as the tests of Kafka's own Java client have it
    for partitioner, partition in (("murmur2", murmur2 % 4), ("consistent", zlib.crc32(b"abc") % 4)):
        name = f"{topic}-{partitioner}"
        with opened(f"{url}-{partitioner}", key="id", partitioner=partitioner) as sink:
            put(sink, [{"id": "abc"}] * 3)
            sink.commit()
        assert [one.partition() for one in cluster.messages(name)] == [partition] * 3


@pytest.mark.parametrize("value", ["text", "bytes"])
def test_plain_values(cluster: Any, url: str, topic: str, value: str) -> None:
    kind = str if value == "text" else str.encode
    with opened(url, value=value, key="k") as sink:
        put(sink, [{"value": kind("zwölf"), "k": None}, {"value": None, "k": "gone"}])
        sink.commit()
    assert {(message.key(), message.value()) for message in cluster.messages(topic)} == {
        (None, "zwölf".encode()),
        (b"gone", None),
    }


@pytest.mark.parametrize(
    ("options", "record", "reason"),
    [
        ({"key": "id"}, {"idd": 1}, "no field 'id'"),
        ({"key": "id"}, {"id": 1.5}, "whole number"),
        ({"key": "id"}, {"id": [1]}, "whole number"),
        ({}, {"x": "x" * 1_000_000}, r"message\.max\.bytes"),
        ({"value": "text"}, {"value": "a", "other": 1}, "'other'"),
        ({"value": "text"}, {"text": "a"}, "'value', which is missing"),
        ({"value": "bytes"}, {"value": "a"}, "no bytes"),
    ],
)
def test_records_that_no_message_can_be_made_of(url: str, options: Any, record: Any, reason: str) -> None:
    row = get_format("kafka", **options).sink(url).encoder().bind(PlainSerializer(None))  # type: ignore[attr-defined]  # formats are typed as such
    with pytest.raises(UnsendableError, match=reason):
        row(record)


@pytest.mark.parametrize("mode", ["error", "overwrite", "ignore"])
def test_a_topic_is_only_appended_to(url: str, mode: Any) -> None:
    sink: Any = get_format("kafka").sink(url)
    with pytest.raises(SinkError, match="mode='append'"):
        sink.open(mode)
    sink.close()


def test_what_was_not_committed_is_not_sent_later(cluster: Any, url: str, topic: str) -> None:
    with opened(url, config={"linger.ms": 20_000, "batch.num.messages": 10_000}) as sink:
        put(sink, [{"id": 1}])
        assert sink.abort() is None
    with pytest.raises(SinkError, match="not open"):
        sink.commit()
    assert cluster.values(topic) == []


def test_a_server_that_is_not_there_is_named_within_the_limit(cluster: Any, topic: str) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    sink: Any = get_format("kafka", timeout=0.4, config={"sasl.password": SECRET}).sink(f"kafka://127.0.0.1:{port}/t")
    for step in (lambda: sink.open("append"), sink.exists):
        with pytest.raises(SinkError, match=rf"127\.0\.0\.1:{port}") as caught:
            step()
        assert SECRET not in f"{caught.value!r} {vars(sink)}"
    sink.close()


def test_messages_that_no_broker_confirms_are_an_error(own_cluster: Any, topic: str) -> None:
    url = f"kafka://{own_cluster.servers}/{topic}"
    with opened(url, timeout=1) as sink:
        put(sink, [{"id": 1}])
        sink.commit()
        own_cluster.end()
        put(sink, [{"id": 2}, {"id": 3}])
        with pytest.raises(SinkError, match="1 of 3 messages are there"):
            sink.commit()


def test_more_messages_than_the_client_holds(cluster: Any, url: str, topic: str) -> None:
    with opened(url, config={"queue.buffering.max.messages": 10}) as sink:
        put(sink, [{"id": i} for i in range(2500)])
        sink.commit()
    assert sorted(int(mark.partition(":")[2]) for mark in marks(cluster.messages(topic))) == list(range(2500))


def test_transactions(cluster: Any, url: str, topic: str) -> None:
    options = {"transactional_id": topic, "run": "r"}
    with opened(url, **options) as sink:
        assert sink.delivery == "exactly-once"
        put(sink, [{"id": 1}])
        sink.commit()
        sink.commit()
        put(sink, [{"id": 2}])
        sink.commit()
    assert sorted(cluster.values(topic)) == [b'{"id":1}', b'{"id":2}']


def test_settings_that_are_wrong(url: str) -> None:
    for config, reason in (({"nonsense": 1}, "nonsense"), ({"message.max.bytes": "many"}, "max.bytes")):
        with pytest.raises(OptionsError, match=reason), opened(url, config=config):
            pass
    for option in ("include=key", "group=g"):
        with pytest.raises(OptionsError, match="for reading only"):
            get_format("kafka").sink(f"{url}?{option}")
