"""Python's own objects as sources and sinks."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import NoReturn

import cloudpickle
import pytest
from reading import make, read_chunks

from pipe_core.kernel import ctrl_c
from pipe_core.kernel.contracts import Rejection
from pipe_core.kernel.errors import OptionsError, SinkError, SourceError
from pipe_core.testing.formats import PlainSerializer

RECORDS = [{"id": i} for i in range(10)]


def numbers(count: int) -> Iterator[dict[str, int]]:
    for i in range(count):
        yield {"id": i}


@pytest.mark.parametrize("target", [RECORDS, tuple(RECORDS)], ids=["list", "tuple"])
def test_a_collection_is_not_live_and_has_a_size(target: object) -> None:
    source = make("memory").source(target)
    assert (source.live, source.size, source.fields, source.splits(lambda: 5)) == (False, 10, None, None)
    assert [len(chunk) for chunk in source.chunks(lambda: 4)] == [4, 4, 2]
    assert read_chunks(source).records == RECORDS


def test_a_generator_is_live_and_closed() -> None:
    closed = []

    def endless() -> Iterator[dict[str, int]]:
        try:
            while True:
                yield {"id": len(closed)}
        finally:
            closed.append(True)

    source = make("memory").source(endless())
    assert source.live
    assert source.size is None
    assert len(next(source.chunks(lambda: 1000))) == 1000
    source.close()
    assert closed == [True]


def test_sizes_are_asked_for_again() -> None:
    sizes = iter([1, 2, 3, 4, 5])
    assert [len(chunk) for chunk in make("memory").source(numbers(10)).chunks(lambda: next(sizes))] == [1, 2, 3, 4]


def test_what_an_iterable_raises_comes_behind_what_it_gave() -> None:
    def failing() -> Iterator[dict[str, int]]:
        yield from numbers(5)
        raise KeyError("gone")

    found = read_chunks(make("memory").source(failing()), chunk=3)
    assert found.records == RECORDS[:5]
    assert isinstance(found.error, SourceError)
    assert found.error.position == 5
    assert isinstance(found.error.__cause__, KeyError)


@pytest.mark.parametrize("sentinel", [None, "stop", 0])
def test_a_queue_ends_at_its_sentinel(sentinel: object) -> None:
    items: queue.Queue[object] = queue.Queue()
    for item in [*RECORDS, False, sentinel, {"late": 1}]:
        items.put(item)
    source = make("memory", sentinel=sentinel).source(items)
    assert source.live
    assert [*source.items()] == [*RECORDS, False]
    assert next(iter(source.chunk_of([{"a": 1}]).batches(5))).records == [{"a": 1}]


def test_records_are_fresh_copies() -> None:
    chunk = cloudpickle.loads(cloudpickle.dumps(next(make("memory").source([{"a": 1}, "text", 3]).chunks(lambda: 5))))
    [batch] = chunk.batches(5)
    batch.records[0]["a"] = 2
    assert [batch.raw(i) for i in range(3)] == [{"a": 1}, "text", 3]
    assert next(iter(chunk.batches(5))).records == [{"a": 1}, "text", 3]


class Odd:
    """A value that does something bad when it is copied."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> NoReturn:
        raise self.kind("no way")


def test_what_cannot_be_copied_is_shared() -> None:
    odd = Odd(ZeroDivisionError)
    [batch] = next(make("memory").source([{"a": odd}]).chunks(lambda: 5)).batches(5)
    assert (batch.records, batch.rejected) == ([{"a": odd}], {})
    batch.records[0]["a"] = 1
    assert batch.raw(0) == {"a": odd}


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_raises_more_than_an_error_when_it_is_copied_is_rejected(kind: type[BaseException]) -> None:
    records = [{"a": 1}, {"a": Odd(kind)}, "text", {"a": 3}]
    [batch] = next(make("memory").source(records).chunks(lambda: 5)).batches(5)
    assert batch.records == [{"a": 1}, None, "text", {"a": 3}]
    assert batch.rejected == {1: Rejection(kind.__name__, "The record cannot be copied: no way", records[1])}


def test_the_user_s_ctrl_c_is_no_fault_of_a_record() -> None:
    [chunk] = make("memory").source([{"a": Odd(KeyboardInterrupt)}]).chunks(lambda: 5)
    ctrl_c.note(chunk)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(chunk.batches(5))
    finally:
        ctrl_c.forget(chunk)


@pytest.mark.parametrize("target", ["text", b"bytes", {"a": 1}, 3, None, object()])
def test_what_is_no_source_is_refused(target: object) -> None:
    with pytest.raises(OptionsError, match="iterable of records or a queue"):
        make("memory").source(target)


def test_a_list_shows_records_at_once_and_loses_what_is_aborted() -> None:
    target: list[object] = ["before"]
    sink = make("memory").sink(target)
    encoder = sink.encoder()
    row = encoder.bind(PlainSerializer(None))
    sink.open("error")
    sink.write(encoder.join([row({"a": 1})]), 1)
    assert target == ["before", {"a": 1}]
    sink.commit()
    sink.write([{"b": 1}], 1)
    sink.abort()
    sink.close()
    assert target == ["before", {"a": 1}]
    assert not sink.exists()
    assert sink.delivery == "at-least-once"
    assert encoder.stamp(3, {"a": 1}) == {"position": 3, "a": 1}


def test_an_aborted_list_can_be_kept() -> None:
    target: list[object] = []
    sink = make("memory").sink(target)
    sink.open("error")
    sink.write([1], 1)
    sink.abort(keep=True)
    sink.close()
    assert target == [1]


def test_functions_and_queues_get_every_record() -> None:
    called: list[object] = []
    items: queue.Queue[object] = queue.Queue()
    for sink in (make("memory").sink(called.append), make("memory").sink(items)):
        sink.open("append")
        sink.write(RECORDS, 10)
        sink.commit()
        sink.abort()
        sink.close()
    assert called == RECORDS == [items.get() for _ in RECORDS]


def test_what_a_function_raises_is_a_sink_error() -> None:
    def broken(record: object) -> None:
        raise RuntimeError(f"cannot take {record}")

    sink = make("memory").sink(broken)
    sink.open("error")
    with pytest.raises(SinkError, match=r"broken.*RuntimeError: cannot take 1"):
        sink.write([1], 1)


def test_what_is_no_sink_is_refused() -> None:
    with pytest.raises(OptionsError, match="a list, a function"):
        make("memory").sink({"a": 1})
