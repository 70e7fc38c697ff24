"""Reading: chunks, batches and splits of what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pipe_core.kernel.contracts import Chunk, CountedSource, Readable, Split
from pipe_core.kernel.errors import SourceError, SourceNotFoundError
from pipe_core.testing.formatting.ground import SMALL, Ground, records_in, records_of, travelled


class ReadingTests(Ground):
    """What a source gives."""

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
        assert [len(list(records_of(chunk, 5))) for chunk in chunks] == [len(chunk) for chunk in chunks]

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
            assert list(records_of(travelled(chunk), 6)) == list(records_of(chunk, 6))
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
            other = travelled(split)
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
        assert list(records_of(late, 10)) == []
        assert late.extent is not None
        assert late.extent.end == last.extent.end

    def test_splits_from_a_record_give_all_behind_it(self, tmp_path: Path) -> None:
        """A `CountedSource` leaves out exactly as many records as it is told, or says that it cannot."""
        self.write(self.target(tmp_path))
        for count in (0, 1, len(self.records) // 2, len(self.records) - 1, len(self.records)):
            source = self._opened(self.target(tmp_path))
            if not isinstance(source, CountedSource):
                source.close()
                pytest.skip(f"{self.format} is not entered at a record")
            splits = source.splits_from(count, lambda: 300)
            if splits is not None:
                found = [record for split in splits for record in records_of(split, 7)]
                assert found == list(self.records)[count:]
            source.close()

    # --- helpers ---

    def _readables(self, path: Path) -> Iterator[Readable]:
        source = self._opened(path)
        yield from source.chunks(lambda: 50)
        source.close()
        source = self._opened(path)
        yield from source.splits(lambda: 1000) or ()
        source.close()

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
        return list(records_in(batches))


def _copied(readable: Readable) -> list[Any]:
    return [record and dict(record) for batch in readable.batches(6) for record in batch.records]
