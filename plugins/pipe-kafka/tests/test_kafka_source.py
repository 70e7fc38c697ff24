"""Reading a topic up to its end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipe_core import OptionsError, SourceError, SourceNotFoundError, get_format
from pipe_kafka.messages import MessageChunk

SECRET = "c4nary-s3cret"


@contextlib.contextmanager
def opened(target: str, **options: Any) -> Iterator[Any]:
    source: Any = get_format("kafka", **options).source(target)
    try:
        source.open()
        yield source
    finally:
        source.close()


def batches(target: str, **options: Any) -> list[Any]:
    with opened(target, **options) as source:
        return [batch for chunk in source.chunks(lambda: 4) for batch in chunk.batches(3)]


def read(target: str, **options: Any) -> list[Any]:
    found = batches(target, **options)
    assert [batch.rejected for batch in found if batch.rejected] == []
    return [record for batch in found for record in batch.records]


def rejected(target: str, **options: Any) -> list[tuple[str, str]]:
    found = [why for batch in batches(target, **options) for _, why in sorted(batch.rejected.items())]
    return [(why.type, why.message) for why in found]


# --- what records are ---


def test_records_come_by_partition_and_offset_up_to_the_end_at_the_opening(
    cluster: Any, url: str, topic: str, lines: list[bytes]
) -> None:
    with opened(url) as source:
        assert (source.live, source.size, source.name) == (True, 10, url)
        cluster.send(topic, [b'{"id":99}'], 1)
        found = [
            record for chunk in source.chunks(lambda: 100) for batch in chunk.batches(4) for record in batch.records
        ]
    assert found == [{"id": i} for i in range(10)]


def test_values_as_text_and_as_bytes(cluster: Any, url: str, topic: str) -> None:
    cluster.send(topic, ["zwölf\n".encode(), None, b"\xff"])
    assert read(url, value="bytes") == [{"value": "zwölf\n".encode()}, {"value": None}, {"value": b"\xff"}]
    (batch,) = batches(url + "?value=text")
    assert batch.records == [{"value": "zwölf\n"}, {"value": None}, None]
    assert batch.rejected[2].type == "BadEncoding"
    assert "partition 0, offset 2" in batch.rejected[2].message


def test_what_else_a_message_has_becomes_fields(cluster: Any, url: str, topic: str) -> None:
    said = {"key": b"k", "timestamp": 1_700_000_000_000, "headers": [("a", b"1"), ("a", None)]}
    cluster.send(topic, [b'{"id":1}'], 3, **said)
    names = "key,partition,offset,timestamp,headers"
    expected = {
        "kafka_key": "k",
        "kafka_partition": 3,
        "kafka_offset": 0,
        "kafka_timestamp": 1_700_000_000_000,
        "kafka_headers": [["a", "1"], ["a", None]],
    }
    assert read(f"{url}?include={names}") == [{"id": 1, **expected}]
    (batch,) = batches(url, include=["headers"])
    batch.records[0]["kafka_headers"].clear()
    batch.records[0].clear()
    assert batch.raw(0) == {"id": 1, "kafka_headers": [["a", "1"], ["a", None]]}
    assert read(url, value="bytes", include=["key"]) == [{"value": b'{"id":1}', "kafka_key": b"k"}]


def test_what_is_no_record_is_rejected_with_its_place(cluster: Any, url: str, topic: str) -> None:
    bad = [
        b'{"a":1',
        None,
        b'{"a":1,"a":2}',
        b'{"a":"' + b"x" * 200 + b'"}',
        b"{}",
        b"[[[[1]]]]",
        b'{"a":1,"b":2}',
        b"7",
    ]
    cluster.send(topic, bad, 1)
    limits = {"max_record_bytes": 100, "max_depth": 3, "max_fields": 1, "include": ["key"]}
    kinds = ["BadJson", "NoValue", "DuplicateKey", "RecordTooLarge", "TooDeep", "TooManyFields", "NotAnObject"]
    found = rejected(url, **limits)
    assert [kind for kind, _ in found] == kinds
    offsets = [0, 1, 2, 3, 5, 6, 7]
    assert [message.partition(":")[0] for _, message in found] == [
        f"The message at partition 1, offset {offset}" for offset in offsets
    ]
    assert read(url, start="1:4")[0] == {}
    cluster.send(topic, [b"{}"], 2, key=b"\xff")
    assert rejected(url, include=["key"], start={1: 8})[0][0] == "BadEncoding"


def test_a_chunk_travels_as_plain_data(cluster: Any, url: str, topic: str) -> None:
    cluster.send(topic, [b'{"a":1}', b"bad", b'{"a":2}'], 0, key=b"k")
    with opened(url, include=["key", "headers"], max_record_bytes=7) as source:
        (chunk,) = source.chunks(lambda: 10)
    from pipe_core import get_codec

    codec = get_codec("msgpack")
    other = MessageChunk.unpack(*codec.decode(codec.encode(chunk.pack())))
    assert type(chunk) in source.travels
    assert other == chunk
    ((here,), (there,)) = list(chunk.batches(10)), list(other.batches(10))
    assert (here.records, dict(here.rejected)) == (there.records, dict(there.rejected))


def test_reading_can_be_stopped_from_another_thread(url: str, lines: list[bytes]) -> None:
    with opened(url) as source:
        chunks = source.chunks(lambda: 1)
        next(chunks)
        source.interrupt()
        assert len(list(chunks)) < 9  # what has come already, and nothing of the other partition


# --- where to begin ---


def test_where_to_begin(url: str, lines: list[bytes]) -> None:
    assert read(url, start="latest") == []
    assert [record["id"] for record in read(url + "?start=0:4,2:3")] == [4, 5, 9]
    assert [record["id"] for record in read(url, start={0: 5})] == [5, 6, 7, 8, 9]
    # The cluster of the tests knows no times but one: behind all messages.
    assert read(url, start=datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert read(url + "?start=2100-01-01T00:00:00") == []


@pytest.mark.parametrize(("start", "reason"), [({0: 7}, "ends at offset 6"), ({9: 0}, "no partition 9")])
def test_a_beginning_that_is_not_there(url: str, lines: list[bytes], start: dict[int, int], reason: str) -> None:
    with pytest.raises(SourceError, match=reason), opened(url, start=start) as source:
        list(source.chunks(lambda: 1))


def test_messages_that_are_kept_no_longer(cluster: Any, url: str, topic: str) -> None:
    cluster.send(topic, [b"x" * 900_000 for _ in range(8)])  # which keeps some 5 MB
    options = {"value": "bytes", "max_record_bytes": 1_000_000}
    assert 1 < len(read(url, **options)) < 8
    with pytest.raises(SourceError, match="retention"):
        read(url, start={0: 0}, **options)
    with opened(url, **options) as source:
        chunks = source.chunks(lambda: 1)
        cluster.send(topic, [b"x" * 900_000 for _ in range(8)])
        with pytest.raises(SourceError, match="retention"):
            list(chunks)


# --- what can be wrong ---


def test_a_topic_that_is_not_there(cluster: Any) -> None:
    with pytest.raises(SourceNotFoundError, match="nowhere"), opened(f"kafka://{cluster.servers}/nowhere"):
        pass
    with pytest.raises(SourceNotFoundError), opened(f"kafka://{cluster.servers}/nowhere"):  # reading makes none
        pass


def test_a_server_that_is_not_there_is_named_within_the_limit() -> None:
    with socket.socket() as deaf:  # takes connections, and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        with pytest.raises(SourceError, match=f"127.0.0.1:{port}"), opened(f"kafka://127.0.0.1:{port}/t?timeout=0.3"):
            pass
    with (
        pytest.raises(SourceError, match=rf"127.0.0.1:{port}.*Connection refused"),
        opened(f"kafka://127.0.0.1:{port}/t", timeout=0.5),
    ):
        pass


def test_a_server_that_goes_away_while_it_is_read(own_cluster: Any, topic: str) -> None:
    own_cluster.send(topic, [b"{}"] * 3)
    with opened(f"kafka://{own_cluster.servers}/{topic}", timeout=1) as source:
        own_cluster.end()
        with pytest.raises(SourceError, match=r"partition 0 from offset 0.*option timeout"):
            list(source.chunks(lambda: 1))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"nonsense": 1}, '"nonsense"'),
        ({"security.protocol": SECRET, "ssl.key.password": SECRET}, "security.protocol"),
        ({"auto.offset.reset": "latest"}, "pipe keeps the offsets"),
        ({"sasl.password": [SECRET]}, "config"),
    ],
)
def test_settings_of_the_client_that_are_wrong(url: str, config: Any, reason: str) -> None:
    with pytest.raises(OptionsError, match=reason) as caught, opened(url, config=config):
        pass
    assert SECRET not in f"{caught.value!r} {caught.value.problems} {caught.value.__cause__!r}"


def test_secrets_are_shown_nowhere(url: str, caplog: pytest.LogCaptureFixture) -> None:
    config = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "me"}
    form: Any = get_format("kafka", config={**config, "sasl.password": SECRET}, timeout=0.5)
    source = form.source(url)
    with pytest.raises(SourceError) as caught:  # the cluster knows no users
        source.open()
    source.close()
    shown = f"{caught.value!r} {caught.value} {form._options!r} {form!r} {source!r} {source.name} {vars(source)}"
    assert SECRET not in shown + caplog.text
    with pytest.raises(OptionsError, match=r"sasl\.password") as refused:
        form.source(f"kafka://me:{SECRET}@broker:9092/topic")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("orders", "servers"),
        ("kafka:///orders", "servers"),
        ("kafka://broker:9092", "name of a topic"),
        ("kafka://broker:9092/a/b", "name of a topic"),
        ("kafka://broker:9092/..", "name of a topic"),
        ("kafka://bro ker/a", "host:port"),
        ("http://broker/a", "http://"),
        ("kafka://b:1/a?vale=json", "Did you mean 'value'"),
        ("kafka://b:1/a?value=xml", "value"),
        ("kafka://b:1/a?value=json&value=text", "twice"),
        ("kafka://b:1/a?config=x", "beside the URL"),
        ("kafka://b:1/a?key=id", "for writing only"),
        ("kafka://b:1/a?start=tomorrow", "start"),
        (7, "int"),
    ],
)
def test_targets_that_are_none(target: Any, reason: str) -> None:
    with pytest.raises(OptionsError, match=reason):
        get_format("kafka").source(target)


def test_the_name_of_a_topic_with_servers_beside_it(cluster: Any, topic: str, lines: list[bytes]) -> None:
    assert len(read(topic, servers=cluster.servers)) == 10
    with pytest.raises(OptionsError, match="twice"):
        get_format("kafka", servers="a:1").source("kafka://b:1/topic")
