"""Writing: what a sink leaves behind, and when."""

from __future__ import annotations

import os
from pathlib import Path

import cloudpickle
import pytest

from pipe_core.kernel.errors import SinkError, TargetExistsError
from pipe_core.testing.formatting.ground import SMALL, Ground, PlainSerializer, travelled


class WritingTests(Ground):
    """What a sink does."""

    # --- what a sink writes ---

    def test_chunk_borders_do_not_show(self, tmp_path: Path) -> None:
        """The bytes of the output do not depend on how rows were grouped."""
        outputs = set()
        for pieces in (1, 2, 5, len(self.records)):
            path = self.target(tmp_path / str(pieces))
            path.parent.mkdir()
            self.write(path, pieces=pieces)
            outputs.add(self.content(path))
        assert len(outputs) == 1

    def test_the_encoder_is_small_and_travels(self, tmp_path: Path) -> None:
        """Rows that another process made are the same."""
        encoder = self.make_format().sink(self.target(tmp_path)).encoder()
        assert len(cloudpickle.dumps(encoder)) < SMALL
        serializer = PlainSerializer(tuple(self.records[0]))
        here, there = encoder.bind(serializer), travelled(encoder).bind(serializer)
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
        before = self.content(self.target(tmp_path))
        sink = self.make_format().sink(self.target(tmp_path))
        sink.open("overwrite")
        self._put(sink, 2)
        if ending == "abort":
            assert sink.abort() is None
        sink.close()
        assert self.content(self.target(tmp_path)) == before
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
        before = self.content(self.target(tmp_path))
        sink.abort()
        sink.close()
        sink.close()
        assert self.content(self.target(tmp_path)) == before

    # --- modes and targets ---

    def test_a_target_that_exists_is_refused(self, tmp_path: Path) -> None:
        """``error`` raises `TargetExistsError` and leaves the file alone; ``overwrite`` replaces it."""
        self.occupy(self.target(tmp_path))
        before = self.content(self.target(tmp_path))
        with pytest.raises(TargetExistsError):
            self.write(self.target(tmp_path))
        assert self.content(self.target(tmp_path)) == before
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
        committed = self.content(self.target(tmp_path))
        self._put(sink, 1)
        sink.abort()
        sink.close()
        assert self.content(self.target(tmp_path)) == committed
        assert self.read(self.target(tmp_path)) == list(self.records)

    def test_a_target_that_cannot_be_written_is_refused_at_once(self, tmp_path: Path) -> None:
        """A missing folder, a file as a folder, and a folder as a file: `SinkError` from `open`."""
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / f"folder{self.suffix}").mkdir()
        (tmp_path / f"folder{self.suffix}" / "other").write_bytes(b"")
        for path in (
            self.target(tmp_path / "missing"),
            self.target(tmp_path / "file"),
            tmp_path / f"folder{self.suffix}",
        ):
            sink = self.make_format().sink(path)
            with pytest.raises(SinkError, match=r"\w"):
                sink.open("overwrite")
            sink.close()
