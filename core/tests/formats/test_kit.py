"""The conformance kit fails formats that break their promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MUTANTS = {
    "splits_lose_a_record": """
        class Split:
            def __init__(self, inner): self.inner = inner
            def __getattr__(self, name): return getattr(self.__dict__["inner"], name)
            def starting_at(self, begin): return Split(self.inner.starting_at(begin))
            def __reduce__(self): return Split, (self.inner,)
            def batches(self, size):
                for batch in self.inner.batches(size):
                    yield Batch(batch.records[1:], lambda i, raw=batch.raw: raw(i + 1), {})

        class Source(JsonlSource):
            def splits(self, size): return map(Split, super().splits(size))
    """,
    "splits_start_wherever_they_like": """
        class Source(JsonlSource):
            def splits(self, size):
                for split in super().splits(size):
                    yield replace(split, begin=max(0, split.begin - 3), exact=True)
    """,
    "batches_share_records_with_raw": """
        class Chunk:
            def __init__(self, inner): self.inner = inner
            def __len__(self): return len(self.inner)
            def batches(self, size):
                for batch in self.inner.batches(size):
                    yield Batch(batch.records, batch.records.__getitem__, {})

        class Source(JsonlSource):
            def chunks(self, size): return map(Chunk, super().chunks(size))
    """,
    "missing_files_are_empty": """
        class Source(JsonlSource):
            def open(self):
                try: super().open()
                except SourceError: pass
    """,
    "chunks_have_any_size": """
        class Source(JsonlSource):
            def chunks(self, size): return super().chunks(lambda: size() // 2 + 1)
    """,
    "borders_show": """
        class Sink(FileSink):
            def write(self, payload, count): super().write(payload + b"\\n", count)
    """,
    "written_in_place": """
        class Sink(FileSink):
            def open(self, mode):
                if mode == "error" and self.exists(): raise TargetExistsError("it exists", sink=self.name)
                self.file = open(self._path, "ab" if mode == "append" else "wb")
            def write(self, payload, count): self.file.write(payload); self.file.flush()
            def commit(self): self.file.flush()
            def abort(self, keep=False): self.file.close()
            def close(self): self.file.close()
    """,
    "leaves_its_part_file": """
        class Sink(FileSink):
            def abort(self, keep=False): return super().abort(keep=True)
    """,
    "overwrites_whatever_the_mode": """
        class Sink(FileSink):
            def open(self, mode): super().open("overwrite")
    """,
    "shows_what_is_staged": """
        class Sink(FileSink):
            def checkpoint(self, final=False):
                state = super().checkpoint(final)
                if final: self.commit()
                return state
    """,
    "forgets_its_checkpoint": """
        class Sink(FileSink):
            def close(self): self.abort()
    """,
    "keeps_what_came_behind_the_checkpoint": """
        class Sink(FileSink):
            def close(self):
                if self._output is not None: self._output._kept = None
                super().close()
            def resume(self, state, mode, fields=None):
                state["output"]["length"] = max(path.stat().st_size for path in Path(self._path).parent.iterdir())
                super().resume(state, mode, fields)
    """,
    "keeps_its_one_checkpoint_a_secret": """
        class Sink(FileSink):
            def checkpoint(self, final=False):
                if not final: raise SinkError("not before the end", sink=self.name)
                return super().checkpoint(final)
    """,
    "hides_its_checkpoints": """
        class Sink(FileSink):
            only_final = True
    """,
    "stamps_nothing": """
        class Encoder(JsonlEncoder):
            def stamp(self, position, row): return row

        class Sink(FileSink):
            def encoder(self): return Encoder()
    """,
    "encoder_with_baggage": """
        class Encoder(JsonlEncoder):
            def __init__(self): self.baggage = b"x" * 100_000

        class Sink(FileSink):
            def encoder(self): return Encoder()
    """,
}

MODULE = """
from dataclasses import replace
from pathlib import Path
from pipe_core.formats.file_sink import FileSink
from pipe_core.formats.jsonl_rows import JsonlEncoder
from pipe_core.formats.jsonl_source import JsonlSource
from pipe_core.formats.options import JsonlOptions
from pipe_core.kernel.contracts import Batch
from pipe_core.kernel.errors import SinkError, SourceError, TargetExistsError
from pipe_core.testing.formats import FormatConformance

Source, Sink = JsonlSource, FileSink
{mutant}

class Format:
    def source(self, target): return Source(target, JsonlOptions())
    def sink(self, target): return Sink(target, JsonlEncoder())

class Test(FormatConformance):
    format = "mutant"
    suffix = ".jsonl"
    def make_format(self): return Format()
"""


def run_kit(folder: Path, mutants: dict[str, str]) -> dict[str, int]:
    """How many tests of the kit fail, by mutant."""
    for name, mutant in mutants.items():
        lines = [line.removeprefix(" " * 8) for line in mutant.splitlines()]
        (folder / f"test_{name}.py").write_text(MODULE.format(mutant="\n".join(lines)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=60)
    bad = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert not any(line.startswith("ERROR") for line in done.stdout.splitlines()), done.stdout
    return {name: sum(f"test_{name}.py" in line for line in bad) for name in mutants}


def test_the_kit_catches_every_mutant_and_passes_the_original(tmp_path: Path) -> None:
    failures = run_kit(tmp_path, {"original": "", **MUTANTS})
    assert failures.pop("original") == 0
    assert [name for name, count in failures.items() if count == 0] == []


@pytest.mark.parametrize("name", ["borders_show", "stamps_nothing"])
def test_a_single_fault_does_not_fail_everything(tmp_path: Path, name: str) -> None:
    assert 1 <= run_kit(tmp_path, {name: MUTANTS[name]})[name] <= 8
