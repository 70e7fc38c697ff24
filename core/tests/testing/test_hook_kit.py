"""The kit for hooks fails hooks that are wrong on purpose, each for its own reason, and passes honest ones."""

from __future__ import annotations

import pytest

MUTANTS = '''
import threading
from pipe_core import BaseHook, Entry
from pipe_core.testing import HookConformance


class Kit(HookConformance):
    samples = [{"n": i, "tags": []} for i in range(9)]
    made = None
    patience = 0.1

    def make_hook(self):
        return type(self).made()


class Good(BaseHook):
    """Drops, fails, adds and changes."""

    def setup(self, store):
        store.factor = 2

    def execute(self, entries, store):
        going_on = []
        for entry in entries:
            entry.raw_data["n"] = entry.raw_data["n"] * store.factor
            if entry.raw_data["n"] != 4:
                going_on.append(entry)
            if entry.raw_data["n"] == 6:
                going_on.append(entry.copy())
        return going_on


class GoodAsync(BaseHook):
    async def setup(self, store):
        store.seen = True

    async def execute(self, entries, store):
        for entry in entries:
            entry.metadata["seen"] = store.seen and entry.raw_data["n"]


class GoodFixed(BaseHook):
    """Needs its chunks, and says so."""

    chunk_size = 3

    def execute(self, entries, store):
        total = sum(entry.raw_data["n"] for entry in entries)
        for entry in entries:
            entry.raw_data["total"] = total


class ReturnsDicts(BaseHook):
    def execute(self, entries, store):
        return [entry.raw_data for entry in entries]


class DropsTheLast(BaseHook):
    """Loses the entry at a border of its chunk."""

    def execute(self, entries, store):
        return entries[:-1] if len(entries) > 1 else entries


class LooksBack(BaseHook):
    """Writes the one before into each, through the store."""

    def execute(self, entries, store):
        for entry in entries:
            entry.raw_data["before"] = store.get("before")
            store["before"] = entry.raw_data["n"]


class ChangesNeighbours(BaseHook):
    def execute(self, entries, store):
        for entry in entries[1:]:
            entries[0].raw_data["tags"].append(entry.raw_data["n"])


class CountsOnItself(BaseHook):
    """Keeps state that setup does not renew: a second run differs."""

    total = 0

    def execute(self, entries, store):
        for entry in entries:
            self.total += 1
            entry.raw_data["total"] = self.total


class SharedByAll:
    """Keeps state in a list that all of its instances share."""

    kept = []

    def __call__(self, entry, store):
        self.kept.append(1)
        entry.metadata["kept"] = len(self.kept)


class ClosesForAll(BaseHook):
    """Its first teardown takes away what the other workers still need."""

    def setup(self, store):
        self.client = {}

    def execute(self, entries, store):
        for entry in entries:
            self.client.get(entry.raw_data["n"])

    def teardown(self, store):
        self.client = None


class CannotTravel(BaseHook):
    def __init__(self):
        self.lock = threading.Lock()


class LosesItself(BaseHook):
    """Travels without what it was told."""

    def __init__(self):
        self.factor = 3

    def __getstate__(self):
        return {"factor": 1}

    def execute(self, entries, store):
        for entry in entries:
            entry.raw_data["n"] *= self.factor


class FailsThemAll(BaseHook):
    """Remembers that one failed, and fails whatever follows."""

    def setup(self, store):
        store.broken = False

    def execute(self, entries, store):
        for entry in entries:
            if store.broken or entry.raw_data.get("n") is None:
                store.broken = True
                raise ValueError("broken")


class LeavesAThread(BaseHook):
    def setup(self, store):
        store.stop = threading.Event()
        threading.Thread(target=store.stop.wait, daemon=True).start()


class FatValue(BaseHook):
    scope = "run"

    def value(self, entry, store):
        return "x" * 100_000


class OddVerdict(BaseHook):
    scope = "run"

    def value(self, entry, store):
        return entry.raw_data["n"]

    def decide(self, value, position):
        return True


class TestGood(Kit): made = Good
class TestGoodAsync(Kit): made = GoodAsync
class TestGoodFixed(Kit): made = GoodFixed
class TestReturnsDicts(Kit): made = ReturnsDicts
class TestDropsTheLast(Kit): made = DropsTheLast
class TestLooksBack(Kit): made = LooksBack
class TestChangesNeighbours(Kit): made = ChangesNeighbours
class TestCountsOnItself(Kit): made = CountsOnItself
class TestSharedByAll(Kit): made = SharedByAll
class TestClosesForAll(Kit): made = ClosesForAll
class TestCannotTravel(Kit): made = CannotTravel
class TestLosesItself(Kit): made = LosesItself
class TestFailsThemAll(Kit): made = FailsThemAll
class TestLeavesAThread(Kit): made = LeavesAThread
class TestFatValue(Kit): made = FatValue
class TestOddVerdict(Kit): made = OddVerdict
'''

EXPECTED = {
    "Good": None,
    "GoodAsync": None,
    "GoodFixed": None,
    "ReturnsDicts": "test_it_returns_nothing_or_entries",
    "DropsTheLast": "test_chunk_borders_do_not_show",
    "LooksBack": "test_a_record_does_not_depend_on_others",
    "ChangesNeighbours": "test_a_record_does_not_depend_on_others",
    "CountsOnItself": "test_a_run_may_be_repeated",
    "SharedByAll": "test_it_is_deterministic",
    "ClosesForAll": "test_workers_come_and_go",
    "CannotTravel": "test_it_travels_to_other_processes",
    "LosesItself": "test_it_travels_to_other_processes",
    "FailsThemAll": "test_a_failing_record_fails_alone",
    "LeavesAThread": "test_nothing_is_left_behind",
    "FatValue": "test_it_returns_nothing_or_entries",
    "OddVerdict": "test_it_returns_nothing_or_entries",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_kit_knows_good_from_wrong(name: str, failed: dict[str, set[str]]) -> None:
    expected = EXPECTED[name]
    assert failed[name] == set() if expected is None else expected in failed[name]
