"""`CodecConformance`: what a codec must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing.codecs import CodecConformance

    class TestMine(CodecConformance):
        codec = "mine"
        options = {"level": 3}
"""

from __future__ import annotations

import importlib
import pickle
import random
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings

from pipe_core.codecs.samples import SAMPLE_TYPES, SAMPLES, TYPED_SAMPLES, difference, orders
from pipe_core.kernel.contracts import Codec
from pipe_core.kernel.errors import CodecError
from pipe_core.testing.codec_samples import CANARY, FOREIGN, UNSUPPORTED, Trap, values
from pipe_core.testing.kit import Conformance

_SLOWEST_DECODE: Final = 2.0
"""Seconds that decoding one damaged frame of some kB may take, on a busy machine."""


class CodecConformance(Conformance, kit=True):
    """Inherit, say which codec, and run pytest.

    Attributes:
        codec: The name of the codec.
        options: Its options.
        lossless: Whether it promises to bring back every value of `pipe_core.codecs.samples.SAMPLES`. A codec that
            does not may refuse some with `CodecError`; it may never bring back something else.
        examples: How many random values are tried.
    """

    codec: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    lossless: ClassVar[bool] = True
    examples: ClassVar[int] = 200

    def make_codec(self) -> Codec:
        """A fresh codec. Override it to test one that is not installed."""
        from pipe_core import get_codec

        return get_codec(self.codec, **self.options)

    # --- what comes back ---

    @pytest.mark.parametrize("name", SAMPLES)
    def test_a_value_comes_back_equal_and_of_equal_type(self, name: str) -> None:
        """Each value of the documented set."""
        self._check_round_trip(self.make_codec(), SAMPLES[name])

    def test_random_values_come_back(self) -> None:
        """Values that hypothesis makes of all supported types."""
        codec = self.make_codec()

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(values())
        def check(value: Any) -> None:
            self._check_round_trip(codec, value)

        check()

    def test_chunks_of_records_come_back(self) -> None:
        """Lists of dicts, alike and not quite alike."""
        codec = self.make_codec()
        chunk = self._records(50)
        reordered = [*chunk, dict(reversed(chunk[0].items()))]
        chunks: list[list[dict[str, Any]]] = [
            chunk,
            chunk[:1],
            chunk[:2],
            reordered,
            [*chunk, {}],
            [*chunk, {**chunk[0], "more": 1}],
            [{}, {}],
        ]
        for records in chunks:
            self._check_round_trip(codec, records)

    def test_instances_of_the_table_of_types_come_back(self) -> None:
        """Enums, models, dataclasses and NamedTuples, where the codec takes a table of types."""
        codec = self._with_types(SAMPLE_TYPES)
        for value in TYPED_SAMPLES.values():
            for form in (value, [value, value], {"deep": (value,)}, [{"a": value, "b": 1}] * 2):
                assert (found := difference(form, codec.decode(codec.encode(form)))) is None, found

    def test_encode_gives_bytes(self) -> None:
        """Not a bytearray, not a memoryview."""
        assert type(self.make_codec().encode({"a": 1})) is bytes

    def test_equal_sets_give_equal_bytes(self) -> None:
        """Whatever the order in which their members came."""
        codec = self.make_codec()
        members = [8 * i for i in range(200)]
        for kind in (set, frozenset):
            there, back = kind(members), kind(reversed(members))
            assert self._encode(codec, {"set": there}) == self._encode(codec, {"set": back})

    def test_many_threads_may_use_one_codec(self) -> None:
        """Eight threads, each with its own values."""
        codec = self.make_codec()

        def work(i: int) -> list[Any]:
            return [codec.decode(codec.encode(self._records(20 + i))) for _ in range(20)]

        with ThreadPoolExecutor(8) as pool:
            for i, results in enumerate(pool.map(work, range(8))):
                for result in results:
                    assert (found := difference(self._records(20 + i), result)) is None, found

    # --- what is refused ---

    @pytest.mark.parametrize("name", UNSUPPORTED)
    def test_a_value_that_cannot_travel_is_named_with_its_path(self, name: str) -> None:
        """`CodecError.path` leads to it, and the message names its class."""
        value = UNSUPPORTED[name]
        with pytest.raises(CodecError) as caught:
            self.make_codec().encode({"first": [0, {"second": value}]})
        assert caught.value.path == "$.first[1].second"
        assert type(value).__name__ in str(caught.value)
        assert "$.first[1].second" in str(caught.value)

    def test_a_class_outside_the_table_of_types_is_refused(self) -> None:
        """When encoding, and when a frame needs a class that the reader's table does not have."""
        codec = self._with_types([])
        for value in TYPED_SAMPLES.values():
            with pytest.raises(CodecError, match=type(value).__name__):
                codec.encode([value])
            frame = self._with_types(SAMPLE_TYPES).encode([value])
            with pytest.raises(CodecError):
                codec.decode(frame)

    def test_a_value_that_contains_itself_is_refused(self) -> None:
        """Without a `RecursionError`."""
        codec = self.make_codec()
        endless: list[Any] = [1]
        endless.append({"again": endless})
        mapping: dict[str, Any] = {}
        mapping["again"] = (mapping,)
        for value in (endless, mapping, [mapping, mapping]):
            with pytest.raises(CodecError):
                codec.encode(value)

    def test_a_very_deep_value_is_refused_or_comes_back(self) -> None:
        """Without a `RecursionError`, a crash or a wrong value."""
        codec = self.make_codec()
        for depth in (10, 50, 100, 500, 5_000):
            value: Any = "bottom"
            for _ in range(depth):
                value = [value]
            try:
                result = codec.decode(codec.encode(value))
            except CodecError:
                continue
            for _ in range(depth):
                (result,) = result
            assert result == "bottom"

    # --- what is damaged ---

    @pytest.mark.parametrize("name", FOREIGN)
    def test_foreign_bytes_are_refused(self, name: str) -> None:
        """Bytes of other programs."""
        with pytest.raises(CodecError):
            self.make_codec().decode(FOREIGN[name])

    def test_every_cut_of_a_frame_is_refused(self) -> None:
        """From nothing to all but the last byte; and a frame with something behind it."""
        codec = self.make_codec()
        frame = codec.encode(self._records(5))
        for damaged in (*(frame[:i] for i in range(len(frame))), frame + b"\0", frame + frame):
            self._check_refused(codec, damaged)

    def test_every_flipped_bit_is_noticed(self) -> None:
        """A wrong value is the worst that a codec can do."""
        codec = self.make_codec()
        frame = codec.encode(self._records(5))
        for i in range(len(frame) * 8):
            damaged = bytearray(frame)
            damaged[i // 8] ^= 1 << i % 8
            self._check_refused(codec, bytes(damaged))

    def test_spliced_and_random_bytes_are_refused(self) -> None:
        """The head of one frame on the tail of another, and noise behind a true head."""
        codec = self.make_codec()
        chance = random.Random(7)
        one, other = codec.encode(self._records(5)), codec.encode(self._records(9)[4:])
        for i in range(1, min(len(one), len(other))):
            for damaged in (one[:i] + other[i:], one[:i] + chance.randbytes(len(one) - i)):
                if damaged not in (one, other):
                    self._check_refused(codec, damaged)

    def test_decoding_never_unpickles(self) -> None:
        """Not even a pickle in the place of a frame's body."""
        codec = self.make_codec()
        trap = pickle.dumps(Trap(), protocol=5)
        frame = codec.encode(self._records(5))
        CANARY.clear()
        for damaged in (trap, *(frame[:i] + trap for i in range(64))):
            self._check_refused(codec, damaged)
        assert CANARY == []

    def test_decoding_never_imports(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A frame names no module, neither one that is gone nor any other."""
        name = "pipe_conformance_stranger"
        (tmp_path / f"{name}.py").write_text("import enum\n\nclass Shade(enum.Enum):\n    DARK = 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        shade = importlib.import_module(name).Shade
        codec = self.make_codec()
        with_types = getattr(codec, "with_types", None)
        frames = [(codec, frame) for frame in self._frames(codec)]
        for encoder in (codec, with_types([shade])) if with_types else (codec,):
            try:
                frames.append((encoder, encoder.encode([shade.DARK])))
            except CodecError:
                continue
        monkeypatch.delitem(sys.modules, name)
        before = set(sys.modules)
        for decoder, frame in frames:
            decoder.decode(frame)
        own = {type(codec).__module__.partition(".")[0], "tzdata", *sys.stdlib_module_names}
        assert {module for module in set(sys.modules) - before if module.partition(".")[0] not in own} == set()

    # --- helpers ---

    def _records(self, count: int) -> list[dict[str, Any]]:
        """A chunk that the codec must be able to encode."""
        chunk = orders(count)
        return chunk if self.lossless else [{"id": row["id"], "customer": row["customer"]} for row in chunk]

    def _with_types(self, types: list[type]) -> Codec:
        with_types = getattr(self.make_codec(), "with_types", None)
        if with_types is None:
            pytest.skip("this codec takes no table of types")
        codec: Codec = with_types(types)
        return codec

    def _encode(self, codec: Codec, value: Any) -> bytes | None:
        """The frame, or None where a codec that does not promise everything refuses."""
        try:
            return codec.encode(value)
        except CodecError:
            if self.lossless:
                raise
            return None

    def _check_round_trip(self, codec: Codec, value: Any) -> None:
        frame = self._encode(codec, value)
        if frame is not None:
            found = difference(value, codec.decode(frame))
            assert found is None, found

    def _check_refused(self, codec: Codec, damaged: bytes) -> None:
        started = perf_counter()
        with pytest.raises(CodecError):
            codec.decode(damaged)
        assert perf_counter() - started < _SLOWEST_DECODE

    def _frames(self, codec: Codec) -> Iterator[bytes]:
        for value in SAMPLES.values():
            if (frame := self._encode(codec, value)) is not None:
                yield frame
