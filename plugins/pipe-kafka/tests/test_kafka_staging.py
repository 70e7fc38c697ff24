"""A sink that a later process can go on with."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core import OptionsError, SinkError, get_format
from pipe_core.kernel.contracts import ResumableSink
from pipe_core.testing.formats import PlainSerializer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where messages are kept."""
    path = tmp_path / "staging"
    path.mkdir()
    return path


@pytest.fixture
def make(url: str, topic: str, folder: Path) -> Any:
    """Makes sinks, each as if it was in a process of its own."""

    def made(target: str = url) -> Any:
        sink = get_format("kafka", transactional_id=topic, staging=str(folder)).sink(target)
        assert isinstance(sink, ResumableSink)
        return sink

    return made


@contextlib.contextmanager
def resumed(make: Any, state: Mapping[str, Any]) -> Iterator[Any]:
    with contextlib.closing(make()) as sink:
        sink.resume(json.loads(json.dumps(state)), "append")
        yield sink


def put(sink: Any, *ids: int) -> None:
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    sink.write(encoder.join([row({"id": one}) for one in ids]), len(ids))


def staged(make: Any, *ids: int) -> Mapping[str, Any]:
    with contextlib.closing(make()) as sink:
        sink.open("append")
        put(sink, *ids)
        return sink.checkpoint(final=True)


def ids(cluster: Any, topic: str) -> list[int]:
    return sorted(json.loads(value)["id"] for value in cluster.values(topic))


def test_what_was_staged_is_committed_once_by_whoever_has_its_state(
    cluster: Any, topic: str, make: Any, folder: Path
) -> None:
    state = staged(make, 1, 2, 3)
    assert cluster.values(topic) == []
    for _ in range(3):
        with resumed(make, state) as sink:
            sink.commit()
        assert ids(cluster, topic) == [1, 2, 3]
        assert os.listdir(folder) == []


def test_what_is_in_the_topic_already_is_not_sent_again(cluster: Any, url: str, topic: str, make: Any) -> None:
    """As where a process was killed between two messages, or before it could remove the file."""
    cluster.make(topic)
    state = staged(make, *range(10))
    for number in (3, 4, 9):
        header = ("pipe-key", f"{state['run']}:{number}".encode())
        cluster.send(topic, [b'{"id":%d}' % number], number % 4, headers=[header])
    cluster.send(topic, [b'{"id":100}'], headers=[("pipe-key", b"another:5"), ("pipe-key", None)])
    with resumed(make, state) as sink:
        sink.commit()
    assert ids(cluster, topic) == [*range(10), 100]


def test_a_checkpoint_is_gone_on_with(cluster: Any, topic: str, make: Any, folder: Path) -> None:
    with contextlib.closing(make()) as sink:
        sink.open("append")
        put(sink, 1, 2)
        sink.commit()
        put(sink, 3, 4)
        state = sink.checkpoint()
        put(sink, 5, 6)
    with resumed(make, state) as sink:
        put(sink, 7)
        final = sink.checkpoint(final=True)
    for _ in range(2):
        with resumed(make, final) as sink:
            sink.commit()
        assert ids(cluster, topic) == [1, 2, 3, 4, 7]
    assert os.listdir(folder) == []


def test_a_commit_behind_the_checkpoint_is_not_made_again(cluster: Any, topic: str, make: Any) -> None:
    with contextlib.closing(make()) as sink:
        sink.open("append")
        put(sink, 1, 2)
        state = sink.checkpoint()
        put(sink, 3)
        sink.commit()
    with resumed(make, state) as sink:
        put(sink, 3, 4)
        sink.commit()
    assert ids(cluster, topic) == [1, 2, 3, 4]


def test_what_was_not_committed_leaves_nothing(cluster: Any, topic: str, make: Any, folder: Path) -> None:
    with contextlib.closing(make()) as sink:
        sink.open("append")
        put(sink, 1)
    assert os.listdir(folder) == []
    state = staged(make, 1)
    with resumed(make, state) as sink:
        sink.abort()
    assert (os.listdir(folder), cluster.values(topic)) == ([], [])
    with pytest.raises(SinkError, match="cannot be found"), resumed(make, state):
        pass
    with contextlib.closing(make()) as sink:
        sink.open("append")
        put(sink, 1)
        assert Path(sink.abort(keep=True)).stat().st_size > 0


def test_states_that_nobody_can_go_on_with(cluster: Any, url: str, topic: str, make: Any, folder: Path) -> None:
    state = staged(make, 1, 2)
    (file,) = folder.iterdir()
    wrong: list[Any] = [{}, {**state, "topic": "other"}, {**state, "file": "../x"}, {**state, "begin": {"0": 99}}]
    for one in wrong:
        with pytest.raises(SinkError, match=r"\w"), resumed(make, one):
            pass
    data = file.read_bytes()
    for damaged in (data[:-1], b"\0" + data[1:]):
        file.write_bytes(damaged)
        with pytest.raises(SinkError, match="cannot be found"), resumed(make, state):
            pass
    file.write_bytes(data + b"behind the checkpoint")
    with resumed(make, state) as sink:
        sink.commit()
    assert ids(cluster, topic) == [1, 2]


def test_a_topic_that_has_not_kept_what_came_since(cluster: Any, topic: str, make: Any) -> None:
    state = staged(make, 1)
    cluster.send(topic, [b"x" * 900_000 for _ in range(8)])
    with pytest.raises(SinkError, match=r"Nobody can tell.*retention"), resumed(make, state):
        pass


def test_folders_and_options_that_are_wrong(url: str, topic: str, tmp_path: Path) -> None:
    sink: Any = get_format("kafka", transactional_id=topic, staging=str(tmp_path / "missing")).sink(url)
    with pytest.raises(SinkError, match="missing"):
        sink.open("append")
    with pytest.raises(SinkError, match="mode='append'"):
        sink.open("overwrite")
    for options in ({"staging": "x"}, {"staging": "x", "transactional_id": "t", "run": "r"}):
        with pytest.raises(OptionsError, match="staging"):
            get_format("kafka", **options)
