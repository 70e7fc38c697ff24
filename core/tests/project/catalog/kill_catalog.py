"""Kills a process that saves a data set in each of its steps, and settles in another one. Run as a script."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "formats"))

from kill_steps import forked

from pipe_core.project.catalog import Catalog
from pipe_core.project.dates import DateWindow

WINDOW = DateWindow("2025-01-02", "2025-01-03")
BEFORE = [{"day": f"2025-01-{day:02}", "n": day} for day in range(1, 6)]


class Case:
    def __init__(self, folder: Path, said: dict[str, Any], value: Any, before: Any) -> None:
        self.folder, self.said, self.value, self.before = folder, said, value, before
        self.notes = folder.with_name("notes")

    def catalog(self) -> Catalog:
        return Catalog({"data": self.said}, folder=self.folder)

    def prepare(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.notes.unlink(missing_ok=True)
        self.catalog().save("data", self.before)

    def note(self, state: Any) -> None:
        fresh = self.notes.with_name("notes.new")
        fresh.write_text(json.dumps(state))
        os.replace(fresh, self.notes)

    def run(self) -> None:
        """As a node does it whose receipt is noted between stage and commit."""
        if self.notes.exists():
            if (state := json.loads(self.notes.read_text())) != "done":
                self.catalog().settle("data", state)
        else:
            staged = self.catalog().stage("data", self.value, WINDOW)
            self.note(staged.state)
            staged.commit()
        self.note("done")

    def found(self) -> dict[str, bytes]:
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


def problems(case: Case) -> Iterator[str]:
    case.prepare()
    before = case.found()
    if forked(case.run):
        yield "undisturbed: it failed"
        return
    after = case.found()
    for number in range(1, 400):
        case.prepare()
        code = forked(case.run, number)
        if code == 0:
            return
        noted = case.notes.exists()
        if code != -signal.SIGKILL:
            yield f"step {number}: ended with {code}"
        visible = {name: data for name, data in case.found().items() if "/." not in f"/{name}"}
        if not noted and visible != before:
            yield f"step {number}: {sorted(visible)} was visible before the receipt was kept"
        again = forked(case.run, number % 7 + 1) if number % 2 else 0
        if again not in (0, -signal.SIGKILL) or forked(case.run):
            yield f"step {number}: it could not be gone on"
        found = case.found()
        if {name: data for name, data in found.items() if "/." not in f"/{name}"} != after:
            yield f"step {number}: {sorted(found)} instead of {sorted(after)}, or other bytes"
    yield "it never came to its end"


def main() -> None:
    said, value = json.loads(sys.argv[2])
    before = BEFORE if isinstance(value, list) else {"old": True}
    print(json.dumps(list(problems(Case(Path(sys.argv[1]) / "data", said, value, before)))))


if __name__ == "__main__":
    main()
