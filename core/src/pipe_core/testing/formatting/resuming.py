"""Resuming: what a sink that offers it leaves for a later process, and how that goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.contracts import Mode, ResumableSink
from pipe_core.kernel.errors import SinkError
from pipe_core.testing.formatting.ground import Ground


class ResumingTests(Ground):
    """What a `ResumableSink` does. Formats whose sinks are none skip these tests."""

    def test_nothing_is_visible_before_a_final_state_is_committed(self, tmp_path: Path) -> None:
        """What was staged is committed by another sink, once, however often that is asked for."""
        self.write(self.target(tmp_path))
        expected = self.content(self.target(tmp_path))
        _remove(self.target(tmp_path))
        state = self._staged(tmp_path, "error")
        assert not self.target(tmp_path).exists()
        for _ in range(3):
            self._settled(tmp_path, state, "error")
            assert self.content(self.target(tmp_path)) == expected
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    def test_a_final_state_replaces_what_is_there(self, tmp_path: Path) -> None:
        """``overwrite`` leaves the old records until the commit."""
        self.occupy(self.target(tmp_path))
        before = self.content(self.target(tmp_path))
        state = self._staged(tmp_path, "overwrite")
        assert self.content(self.target(tmp_path)) == before
        self._settled(tmp_path, state, "overwrite")
        assert self.read(self.target(tmp_path)) == list(self.records)
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    def test_what_was_staged_can_be_removed(self, tmp_path: Path) -> None:
        """`abort` behind `resume` leaves the target alone, and nothing beside it."""
        self.occupy(self.target(tmp_path))
        before = self.content(self.target(tmp_path))
        state = self._staged(tmp_path, "overwrite")
        sink = self._sink(tmp_path)
        sink.resume(state, "overwrite")
        sink.abort()
        sink.close()
        assert self.content(self.target(tmp_path)) == before
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    def test_a_later_output_supersedes_what_was_staged(self, tmp_path: Path) -> None:
        """A run that was killed does not replace what a later one has written: `resume` says so, by `SinkError`."""
        state = self._staged(tmp_path, "overwrite")
        self.write(self.target(tmp_path), pieces=1)
        before = self.content(self.target(tmp_path))
        sink = self._sink(tmp_path)
        with pytest.raises(SinkError, match=r"\w"):
            sink.resume(state, "overwrite")
        sink.close()
        assert self.content(self.target(tmp_path)) == before
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    def test_a_state_of_something_else_is_refused(self, tmp_path: Path) -> None:
        """What is no state of this sink raises `SinkError`, and so does one of a file that is another target's."""
        state = self._staged(tmp_path, "error")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for other, wrong in ((tmp_path, {}), (elsewhere, state)):
            sink = self._sink(other)
            with pytest.raises(SinkError, match=r"\w"):
                sink.resume(wrong, "error")
            sink.close()

    def test_checkpoints_before_the_end_are_made_where_the_sink_says_so(self, tmp_path: Path) -> None:
        """`checkpoint` raises `SinkError` where ``resumable`` is False or ``only_final`` is True, and only there.

        A run asks these before it counts on checkpoints.
        """
        sink = self._sink(tmp_path)
        sink.open("error")
        self._put(sink, 2)
        promised = getattr(sink, "resumable", True) and not getattr(sink, "only_final", False)
        try:
            sink.checkpoint()
            made = True
        except SinkError:
            made = False
        sink.abort()
        sink.close()
        assert made is promised

    @pytest.mark.parametrize("mode", ["error", "append"])
    def test_a_checkpoint_is_gone_on_with(self, tmp_path: Path, mode: Mode) -> None:
        """What was written behind the checkpoint is cut off, and everything else is there once, and in order."""
        if mode == "append" and not self.appends:
            pytest.skip(f"{self.format} is not appended to")
        sink = self._sink(tmp_path)
        sink.open(mode)
        self._put(sink, 2)
        if getattr(sink, "only_final", False):
            sink.close()
            pytest.skip(f"{self.format} has no checkpoints before the end")
        state = _travelled(sink.checkpoint())
        self._put(sink, 3)
        sink.close()
        sink = self._sink(tmp_path)
        sink.resume(state, mode)
        self._put(sink, 1)
        state = _travelled(sink.checkpoint(final=True))
        sink.close()
        for _ in range(2):
            self._settled(tmp_path, state, mode)
            assert self.read(self.target(tmp_path)) == [*self.records, *self.records]
        assert os.listdir(tmp_path) == [self.target(tmp_path).name]

    # --- helpers ---

    def _sink(self, folder: Path) -> ResumableSink:
        sink = self.make_format().sink(self.target(folder))
        if not isinstance(sink, ResumableSink):
            pytest.skip(f"nobody can go on with a sink of {self.format}")
        if callable(expect := getattr(sink, "expect_checkpoints", None)):
            expect()
        return sink

    def _staged(self, folder: Path, mode: Mode) -> Mapping[str, Any]:
        """The state of a sink that has written the records, and whose process has ended."""
        sink = self._sink(folder)
        sink.open(mode)
        self._put(sink, 3)
        state = _travelled(sink.checkpoint(final=True))
        sink.close()
        return state

    def _settled(self, folder: Path, state: Mapping[str, Any], mode: Mode) -> None:
        sink = self._sink(folder)
        sink.resume(state, mode)
        sink.commit()
        sink.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _travelled(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state as somebody has written it down."""
    found: Mapping[str, Any] = json.loads(json.dumps(state))
    return found
