"""`HookConformance`: what a record hook must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing import HookConformance

    class TestMine(HookConformance):
        hook = "mine"
        options = {"field": "city"}
        sample = {"city": "Paris"}
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import cloudpickle
import pytest

from pipe_core.kernel.access import get_codec, get_hook
from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.kernel import current_kernel
from pipe_core.kernel.specs import HookSpec
from pipe_core.records.entry import Entry
from pipe_core.records.hooks import BoundHook, bind_hooks
from pipe_core.records.store import HookStore
from pipe_core.testing.kit import Conformance
from pipe_core.testing.leaks import no_leaks
from pipe_core.testing.trial import Outcome, Side, try_hook, validated_entries

_LARGEST_VALUE: Final = 4096
"""Bytes that the value of a run-scoped hook may have: one travels for every record."""


class HookConformance(Conformance, kit=True):
    """Inherit, say which hook, and run pytest.

    Attributes:
        hook: The hook's name.
        options: Its options.
        sample: A record that it can work on.
        samples: Several, where one does not show what it does. Default: seven copies of `sample`.
        bad: A record that it must fail. Default: the kit tries records without any field, with None in all of them, and
            with a value that nothing can be done with; if one makes it fail, it must fail alone.
        schema: What validates the records; needed where the hook works on validated data of a schema.
        side: ``"pre"`` or ``"post"``; default: as the hook's spec says.
        volatile: Fields that differ from call to call by nature: times, random numbers.
        deterministic: False for a hook whose result depends on the world outside.
        patience: Seconds that threads and processes have to end behind a run.
    """

    hook: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    sample: ClassVar[Mapping[str, Any]] = {}
    samples: ClassVar[Sequence[Mapping[str, Any]]] = ()
    bad: ClassVar[Mapping[str, Any] | None] = None
    schema: ClassVar[Any] = None
    side: ClassVar[Side | None] = None
    volatile: ClassVar[Sequence[str]] = ()
    deterministic: ClassVar[bool] = True
    patience: ClassVar[float] = 5.0

    # --- what a subclass may change ---

    def make_hook(self) -> Any:
        """A fresh hook. Override it to test one that is not installed."""
        return get_hook(self.hook, **self.options)

    # --- how it is made ---

    def test_it_is_described(self) -> None:
        """Its spec has a summary of one line."""
        spec = self._spec()
        if spec is None:
            pytest.skip("it has no name")
        assert spec.summary
        assert "\n" not in spec.summary

    def test_an_unknown_option_is_refused(self) -> None:
        """By its name."""
        if not self.hook:
            pytest.skip("it has no name")
        with pytest.raises(OptionsError, match="no_such_option"):
            get_hook(self.hook, **{**self.options, "no_such_option": 1})

    def test_it_is_a_hook(self) -> None:
        """Core can run what the name makes, and each time it makes another one."""
        assert bind_hooks([self.make_hook()])
        assert inspect.isroutine(hook := self.make_hook()) or hook is not self.make_hook()

    # --- what it does with records ---

    def test_the_samples_do_not_fail(self) -> None:
        """All of them are kept or dropped."""
        assert self._run().failures == {}

    def test_every_record_has_one_place(self) -> None:
        """Entries in and added = entries kept, dropped and failed."""
        outcome = self._run([*self._records(), *self._bad_ones()])
        assert outcome.report.conserved
        assert outcome.report.read == len(self._records()) + len(self._bad_ones())

    def test_it_returns_nothing_or_entries(self) -> None:
        """Nothing to keep them, or a list; never another type. Run-scoped: a small plain value, and a verdict."""
        bound = self._bound()
        store = HookStore()
        _await(self._life(bound, "setup", store))
        entries = self._entries()
        if bound.kind == "run":
            self._check_halves(bound, entries, store)
        else:
            for subject in [entries] if bound.kind == "chunk" else entries:
                self._check_answer(bound, _await(bound.call(subject, store)))
        _await(self._life(bound, "teardown", store))

    @pytest.mark.parametrize("size", [1, 2, 7, None])
    def test_chunk_borders_do_not_show(self, size: int | None) -> None:
        """The same records, order and errors whether they come one by one, in pairs, by seven or all at once."""
        if self._bound().chunk_size is not None:
            pytest.skip("it says which chunk_size it needs")
        records = self._records()
        assert self._run(records, size=size or len(records)).fates == self._run(records, size=3).fates

    def test_a_record_does_not_depend_on_others(self) -> None:
        """Each alone, with a fresh hook in a fresh worker, fares as it does among the others."""
        bound = self._bound()
        if bound.kind == "run" or bound.chunk_size is not None:
            pytest.skip("others matter to a hook that decides over the whole run, or over chunks of a fixed size")
        records = self._records()
        together = self._run(records).fates
        assert together == [self._run([record]).fates[0] for record in records]

    def test_a_failing_record_fails_alone(self) -> None:
        """With a reason that is not empty; the others fare as without it."""
        bound, records = self._bound(), self._records()
        if not bound.repeatable:
            pytest.skip("it says that its chunks fail as a whole")
        without = self._run(records).fates
        place = len(records) // 2
        for bad in self._bad_ones():
            outcome = self._run([*records[:place], bad, *records[place:]])
            failed = outcome.failures.get(place)
            assert failed or self.bad is None, f"{bad} did not fail"
            if failed:
                assert set(outcome.failures) == {place}, "others failed with it"
                assert all(error.get("message") or error.get("msg") for error in failed)
                if bound.chunk_size is None:  # else the others are in other chunks than without it
                    assert outcome.fates[:place] + outcome.fates[place + 1 :] == without

    def test_it_is_deterministic(self) -> None:
        """Two fresh hooks do the same."""
        if not self.deterministic:
            pytest.skip("its result depends on the world outside")
        assert self._run().fates == self._run().fates

    # --- its life ---

    def test_a_run_may_be_repeated(self) -> None:
        """The same hook in a second run does what it did in the first."""
        hook = self.make_hook()
        assert self._run(hook=hook).fates == self._run(hook=hook).fates

    def test_workers_come_and_go(self) -> None:
        """Each worker has its own setup, store and teardown; the end of one does not disturb another."""
        bound = self._bound()
        stores = [HookStore() for _ in range(3)]
        for store in stores:
            _await(self._life(bound, "setup", store))
        for store in stores:
            one = self._entries()[0]
            _await(bound.call([one] if bound.kind == "chunk" else one, store))
            _await(self._life(bound, "teardown", store))

    def test_it_travels_to_other_processes(self) -> None:
        """Pickled and opened again, before and after a run, it does the same."""
        hook = self.make_hook()
        expected = self._run(hook=hook).fates
        assert self._run(hook=cloudpickle.loads(cloudpickle.dumps(self.make_hook()))).fates == expected
        assert self._run(hook=cloudpickle.loads(cloudpickle.dumps(hook))).fates == expected

    def test_nothing_is_left_behind(self) -> None:
        """No thread, process or open file after the run."""
        self._run()  # what is opened once for the whole process is no leak
        with no_leaks(self.patience):
            self._run()

    # --- helpers ---

    def _run(self, records: Sequence[Mapping[str, Any]] | None = None, *, size: int = 3, hook: Any = None) -> Outcome:
        bound = self._bound()
        return try_hook(
            self.make_hook() if hook is None else hook,
            self._records() if records is None else records,
            side=self._side(),
            schema=self.schema,
            size=bound.chunk_size or size,
            volatile=self.volatile,
        )

    def _records(self) -> list[Mapping[str, Any]]:
        return [*self.samples] or [self.sample] * 7

    def _bad_ones(self) -> list[Mapping[str, Any]]:
        """Records that may make it fail. Never two that could be duplicates of each other."""
        if self.bad is not None:
            return [self.bad]
        names = list(self._records()[0])
        return [{}, dict.fromkeys(names), {name: object() for name in names}]

    def _bound(self) -> BoundHook:
        return bind_hooks([self.make_hook()])[0]

    def _spec(self) -> HookSpec | None:
        spec = current_kernel().spec("hooks", self.hook) if self.hook else None
        return spec if isinstance(spec, HookSpec) else None

    def _side(self) -> Side:
        spec = self._spec()
        return self.side or (spec.when if spec is not None else "pre")

    def _life(self, bound: BoundHook, name: str, store: HookStore) -> Any:
        method = getattr(bound.source, name, None)
        return method(store) if method is not None else None

    def _entries(self) -> list[Entry]:
        """Fresh entries as the hook gets them; validated, where its place is behind validation."""
        if self._side() == "pre":
            return [Entry(copy.deepcopy(dict(record)), index) for index, record in enumerate(self._records())]
        return validated_entries(self._records(), self.schema)

    def _check_answer(self, bound: BoundHook, answer: Any) -> None:
        listed = isinstance(answer, list | tuple) and all(isinstance(entry, Entry) for entry in answer)
        assert answer is None or isinstance(answer, Entry) or listed, (
            f"{bound.name} returned a {type(answer).__name__}; a hook returns nothing or entries"
        )

    def _check_halves(self, bound: BoundHook, entries: Sequence[Entry], store: HookStore) -> None:
        codec = get_codec("msgpack")
        for position, entry in enumerate(entries):
            value = _await(bound.call(entry, store))
            frame = codec.encode(value)
            assert len(frame) < _LARGEST_VALUE, f"{bound.name}.value made a value of {len(frame):,} bytes"
            verdict = bound.source.decide(codec.decode(frame), position)
            allowed = ("keep", "drop", "fail") if getattr(bound.source, "may_fail", False) else ("keep", "drop")
            assert verdict in allowed, f"{bound.name}.decide returned {verdict!r}, not one of {allowed}"


def _await(answer: Any) -> Any:
    async def wait() -> Any:
        return await answer

    return asyncio.run(wait()) if inspect.isawaitable(answer) else answer
