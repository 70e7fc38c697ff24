"""`FormatConformance`: what a file format must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing.formats import FormatConformance

    class TestMine(FormatConformance):
        format = "mine"
        suffix = ".mine"
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import cloudpickle
import pytest
from pydantic_core import to_json, to_jsonable_python

from pipe_core.kernel.access import get_format
from pipe_core.kernel.contracts import Batch, Chunk, Format, Mode, Payload, Readable, Row, Sink, Source, Split
from pipe_core.kernel.errors import SinkError, SourceError, SourceNotFoundError, TargetExistsError
from pipe_core.testing.kit import Conformance

SMALL: Final = 8 * 1024
"""Bytes that a pickled split or encoder may have: it travels once for every piece."""


class PlainSerializer:
    """Writes dicts down as they are.

    Args:
        fields: The names of the fields, or None when they are not known.
    """

    def __init__(self, fields: Sequence[str] | None) -> None:
        self.fields = fields

    def json(self, value: Any) -> bytes:
        """The value as JSON bytes."""
        return to_json(value)

    def python(self, value: Any) -> Any:
        """The value itself."""
        return value

    def jsonable(self, value: Any) -> Any:
        """The value as data that JSON knows."""
        return to_jsonable_python(value)


class FormatConformance(Conformance, kit=True):
    """Inherit, and name the format.

    Attributes:
        format: The name of its entry point.
        suffix: The suffix of the files in the tests.
        options: Options of the format.
        records: What is written and must come back equal. Text only, so that formats without types can take part.
        appends: Whether ``mode="append"`` works; if not it must be refused with `SinkError`.
    """

    format: ClassVar[str]
    suffix: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    records: ClassVar[Sequence[dict[str, Any]]] = [
        {"id": str(i), "text": text * (i % 3 + 1), "empty": ""}
        for i, text in enumerate(
            ["plain", "comma, quote \" and 'tick'", "zwölf € 🎈", "line\nend", "crlf\r\nend", "\u2028", " space ", "-1"]
            * 25
        )
    ]
    appends: ClassVar[bool] = True

    # --- what a subclass may change ---

    def make_format(self) -> Format:
        """The format under test."""
        return get_format(self.format, **self.options)

    def target(self, folder: Path) -> Path:
        """A place to write to."""
        return folder / f"data{self.suffix}"

    # --- what the tests are made of ---

    def write(self, path: Path, *, pieces: int = 3, mode: Mode = "error") -> None:
        """Write the records in some pieces, and commit."""
        sink = self.make_format().sink(path)
        sink.open(mode)
        self._put(sink, pieces)
        sink.commit()
        sink.close()

    def read(self, path: Path, *, chunk: int = 7, size: int = 3) -> list[Any]:
        """All records, through chunks."""
        source = self._opened(path)
        try:
            return [record for chunk_ in source.chunks(lambda: chunk) for record in _records(chunk_, size)]
        finally:
            source.close()

    def split(self, path: Path, size: int) -> list[Split]:
        """The splits of a file; skips the test where the format has none."""
        source = self._opened(path)
        try:
            splits = source.splits(lambda: size)
            if splits is None:
                pytest.skip(f"{self.format} is not read in splits")
            return list(splits)
        finally:
            source.close()

    # --- reading what was written ---

    def test_records_come_back_as_they_were_written(self, tmp_path: Path) -> None:
        """What is written and read again is equal, and in order."""
        self.write(self.target(tmp_path))
        assert self.read(self.target(tmp_path)) == list(self.records)

    def test_an_output_without_records_can_be_read(self, tmp_path: Path) -> None:
        """A commit without a write leaves a file that is whole, and empty."""
        self.write(self.target(tmp_path), pieces=0)
        assert self.read(self.target(tmp_path)) == []

    def test_chunks_have_the_size_that_was_asked_for(self, tmp_path: Path) -> None:
        """All but the last have exactly so many records, and `len` says so."""
        self.write(self.target(tmp_path))
        source = self._opened(self.target(tmp_path))
        chunks: list[Chunk] = list(source.chunks(lambda: 13))
        source.close()
        assert [len(chunk) for chunk in chunks[:-1]] == [13] * (len(chunks) - 1)
        assert [len(list(_records(chunk, 5))) for chunk in chunks] == [len(chunk) for chunk in chunks]

    def test_batches_are_not_larger_than_asked(self, tmp_path: Path) -> None:
        """A batch has at most so many records."""
        self.write(self.target(tmp_path))
        for readable in self._readables(self.target(tmp_path)):
            assert max(len(batch.records) for batch in readable.batches(4)) <= 4

    def test_batches_are_fresh(self, tmp_path: Path) -> None:
        """Records may be changed: `raw` still gives what was read, and so does the next reading."""
        self.write(self.target(tmp_path))
        for readable in self._readables(self.target(tmp_path)):
            before = _copied(readable)
            for batch in readable.batches(6):
                read = [record and dict(record) for record in batch.records]
                for i, record in enumerate(batch.records):
                    if i not in batch.rejected:
                        record.clear()
                        assert batch.raw(i) == read[i]
            assert _copied(readable) == before

    def test_chunks_travel(self, tmp_path: Path) -> None:
        """A chunk that was pickled has the same records."""
        self.write(self.target(tmp_path))
        source = self._opened(self.target(tmp_path))
        for chunk in source.chunks(lambda: 20):
            assert list(_records(_travelled(chunk), 6)) == list(_records(chunk, 6))
        source.close()

    def test_a_missing_source_is_named(self, tmp_path: Path) -> None:
        """Opening what is not there raises `SourceNotFoundError` with its name."""
        source = self.make_format().source(self.target(tmp_path))
        with pytest.raises(SourceNotFoundError, match=f"data{self.suffix}") as caught:
            source.open()
        source.close()
        assert f"data{self.suffix}" in caught.value.source

    def test_a_folder_is_no_source(self, tmp_path: Path) -> None:
        """Opening a folder raises `SourceError`."""
        self.target(tmp_path).mkdir()
        source = self.make_format().source(self.target(tmp_path))
        with pytest.raises(SourceError):
            source.open()
        source.close()

    # --- splits ---

    @pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 20])
    def test_splits_of_any_size_give_all_records(self, tmp_path: Path, size: int) -> None:
        """Splits, read again where they do not meet, give what reading from the beginning gives."""
        self.write(self.target(tmp_path))
        found = [record for split in self.split(self.target(tmp_path), size) for record in self._verified(split)]
        assert found == list(self.records)

    def test_splits_are_small_and_travel(self, tmp_path: Path) -> None:
        """A split is pickled into a few bytes, and reads the same elsewhere."""
        self.write(self.target(tmp_path))
        for split in self.split(self.target(tmp_path), 500):
            assert len(cloudpickle.dumps(split)) < SMALL
            other = _travelled(split)
            assert [batch.records for batch in other.batches(5)] == [batch.records for batch in split.batches(5)]
            assert other.extent == split.extent

    def test_splits_cover_the_size(self, tmp_path: Path) -> None:
        """The bytes of all splits are the size of the source, for progress bars."""
        self.write(self.target(tmp_path))
        splits = self.split(self.target(tmp_path), 333)
        source = self._opened(self.target(tmp_path))
        source.close()
        assert source.size == sum(split.bytes for split in splits)

    def test_a_split_that_starts_behind_its_end_is_empty(self, tmp_path: Path) -> None:
        """`starting_at` a place behind the range gives nothing, and an extent that meets that place."""
        self.write(self.target(tmp_path))
        first, last = (splits := self.split(self.target(tmp_path), 400))[0], splits[-1]
        list(last.batches(10))
        if last.extent is None:
            pytest.skip("the borders are exact")
        late = first.starting_at(last.extent.end)
        assert list(_records(late, 10)) == []
        assert late.extent is not None
        assert late.extent.end == last.extent.end

    # --- what a sink writes ---

    def test_chunk_borders_do_not_show(self, tmp_path: Path) -> None:
        """The bytes of the output do not depend on how rows were grouped."""
        outputs = set()
        for pieces in (1, 2, 5, len(self.records)):
            path = self.target(tmp_path / str(pieces))
            path.parent.mkdir()
            self.write(path, pieces=pieces)
            outputs.add(path.read_bytes())
        assert len(outputs) == 1

    def test_the_encoder_is_small_and_travels(self, tmp_path: Path) -> None:
        """Rows that another process made are the same."""
        encoder = self.make_format().sink(self.target(tmp_path)).encoder()
        assert len(cloudpickle.dumps(encoder)) < SMALL
        serializer = PlainSerializer(tuple(self.records[0]))
        here, there = encoder.bind(serializer), _travelled(encoder).bind(serializer)
        assert [here(record) for record in self.records] == [there(record) for record in self.records]

    def test_a_stamped_row_begins_with_its_position(self, tmp_path: Path) -> None:
        """Rows of an error sink get their position on the driver, as the first field."""
        sink = self.make_format().sink(self.target(tmp_path))
        encoder = sink.encoder()
        row = encoder.bind(PlainSerializer(tuple(self.records[0])))
        sink.open("error")
        rows = [encoder.stamp(i, row(record)) for i, record in enumerate(self.records)]
        sink.write(encoder.join(rows), len(rows))
        sink.commit()
        sink.close()
        found = self.read(self.target(tmp_path))
        assert [next(iter(record)) for record in found] == ["position"] * len(self.records)
        assert [int(record["position"]) for record in found] == list(range(len(self.records)))

    # --- outputs appear whole ---

    def test_nothing_is_visible_before_the_commit(self, tmp_path: Path) -> None:
        """The target comes into being at the commit, and nothing is left beside it."""
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("error")
        self._put(sink, 2)
        assert not self.target(tmp_path).exists()
        assert not sink.exists()
        sink.commit()
        sink.close()
        assert sink.exists()
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    @pytest.mark.parametrize("ending", ["abort", "close"])
    def test_an_interrupted_output_leaves_the_target_as_it_was(self, tmp_path: Path, ending: str) -> None:
        """After `abort`, or `close` without a commit, the old file is there and nothing else."""
        self.write(self.target(tmp_path))
        before = self.target(tmp_path).read_bytes()
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("overwrite")
        self._put(sink, 2)
        if ending == "abort":
            assert sink.abort() is None
        sink.close()
        assert self.target(tmp_path).read_bytes() == before
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    def test_an_aborted_output_can_be_kept(self, tmp_path: Path) -> None:
        """``abort(keep=True)`` says where what was written is, and the target is not there."""
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("error")
        self._put(sink, 2)
        place = sink.abort(keep=True)
        sink.close()
        assert place is not None
        assert Path(place).stat().st_size > 0
        assert not self.target(tmp_path).exists()

    def test_a_commit_cannot_be_taken_back(self, tmp_path: Path) -> None:
        """`abort` and a second `close` behind a commit change nothing."""
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("error")
        self._put(sink, 1)
        sink.commit()
        before = self.target(tmp_path).read_bytes()
        sink.abort()
        sink.close()
        sink.close()
        assert self.target(tmp_path).read_bytes() == before

    # --- modes and targets ---

    def test_a_target_that_exists_is_refused(self, tmp_path: Path) -> None:
        """``error`` raises `TargetExistsError` and leaves the file alone; ``overwrite`` replaces it."""
        self.target(tmp_path).write_bytes(b"precious")
        with pytest.raises(TargetExistsError):
            self.write(self.target(tmp_path))
        assert self.target(tmp_path).read_bytes() == b"precious"
        self.write(self.target(tmp_path), mode="overwrite")
        assert self.read(self.target(tmp_path)) == list(self.records)

    def test_appending_adds_behind_what_is_there(self, tmp_path: Path) -> None:
        """``append`` leaves the first records in place; or it is refused."""
        self.write(self.target(tmp_path))
        if not self.appends:
            with pytest.raises(SinkError):
                self.write(self.target(tmp_path), mode="append")
            return
        self.write(self.target(tmp_path), mode="append")
        assert self.read(self.target(tmp_path)) == [*self.records, *self.records]

    def test_appending_keeps_what_was_committed(self, tmp_path: Path) -> None:
        """`abort` takes back what came behind the last commit."""
        if not self.appends:
            pytest.skip(f"{self.format} is not appended to")
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("append")
        self._put(sink, 2)
        sink.commit()
        committed = self.target(tmp_path).read_bytes()
        self._put(sink, 1)
        sink.abort()
        sink.close()
        assert self.target(tmp_path).read_bytes() == committed
        assert self.read(self.target(tmp_path)) == list(self.records)

    def test_a_target_that_cannot_be_written_is_refused_at_once(self, tmp_path: Path) -> None:
        """A missing folder, a file as a folder, and a folder as a file: `SinkError` from `open`."""
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / f"folder{self.suffix}").mkdir()
        for path in (
            self.target(tmp_path / "missing"),
            self.target(tmp_path / "file"),
            tmp_path / f"folder{self.suffix}",
        ):
            sink = self.make_format().sink(path)
            with pytest.raises(SinkError, match=r"\w"):
                sink.open("overwrite")
            sink.close()

    # --- helpers ---

    def _opened(self, path: Path) -> Source:
        source = self.make_format().source(path)
        source.open()
        return source

    def _readables(self, path: Path) -> Iterator[Readable]:
        source = self._opened(path)
        yield from source.chunks(lambda: 50)
        source.close()
        source = self._opened(path)
        yield from source.splits(lambda: 1000) or ()
        source.close()

    def _put(self, sink: Sink, pieces: int) -> None:
        encoder = sink.encoder()
        row = encoder.bind(PlainSerializer(tuple(self.records[0])))
        step = max(1, len(self.records) // max(1, pieces))
        for start in range(0, len(self.records) if pieces else 0, step):
            rows: list[Row] = [row(record) for record in self.records[start : start + step]]
            payload: Payload = encoder.join(rows)
            sink.write(payload, len(rows))

    def _verified(self, split: Split) -> list[Any]:
        """The records of a split, after the driver's check that it begins where the one before ended."""
        end: int | None = getattr(self, "_end", None)
        batches = list(split.batches(5))  # may hold nonsense, when the border was guessed wrong
        if split.extent is not None and end is not None and split.extent.begin != end:
            split = split.starting_at(end)
            batches = list(split.batches(5))
            assert split.extent is not None
            assert split.extent.begin == end
        self._end = split.extent.end if split.extent is not None else None
        return list(_good(batches))


def _records(readable: Readable, size: int) -> Iterator[Any]:
    return _good(readable.batches(size))


def _good(batches: Iterable[Batch]) -> Iterator[Any]:
    for batch in batches:
        assert not batch.rejected
        yield from batch.records


def _travelled(value: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(value))


def _copied(readable: Readable) -> list[Any]:
    return [record and dict(record) for batch in readable.batches(6) for record in batch.records]
