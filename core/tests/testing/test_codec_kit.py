"""The kit fails codecs that are wrong on purpose, each for its own reason, and passes one that is merely modest."""

from __future__ import annotations

import pytest

MUTANTS = '''
import enum, importlib, json, pickle, time, zlib
from hypothesis import Phase, settings
from pipe_core.codecs.codec import MsgpackCodec
from pipe_core.codecs.options import MsgpackOptions
from pipe_core.kernel.errors import CodecError
from pipe_core.testing.codecs import CodecConformance

settings.register_profile("quick", phases=[Phase.generate])
settings.load_profile("quick")


class Kit(CodecConformance):
    examples = 30
    made = MsgpackCodec

    def make_codec(self):
        return type(self).made()


class LosesTuples(MsgpackCodec):
    def decode(self, data):
        value = super().decode(data)
        return [list(v) if type(v) is tuple else v for v in value] if type(value) is list else value


class SwallowsTail(MsgpackCodec):
    def decode(self, data):
        length = 26 + int.from_bytes(data[6:14], "big")
        return super().decode(data[:length])


class WrongOnFlip(MsgpackCodec):
    def decode(self, data):
        data = bytes(data)
        return super().decode(data[:22] + zlib.crc32(data[:22] + data[26:]).to_bytes(4, "big") + data[26:])


class WrongClass(MsgpackCodec):
    def decode(self, data):
        try:
            return super().decode(data)
        except CodecError as error:
            raise ValueError(str(error)) from None


class Unordered(MsgpackCodec):
    def encode(self, value):
        if type(value) is dict and type(value.get("set")) in (set, frozenset):
            return super().encode(list(value["set"]))
        return super().encode(value)


class NoPath(MsgpackCodec):
    def encode(self, value):
        try:
            return super().encode(value)
        except CodecError as error:
            raise CodecError("cannot encode it") from None


class Pickles:
    def encode(self, value):
        return pickle.dumps(value)

    def decode(self, data):
        try:
            return pickle.loads(data)
        except Exception as error:
            raise CodecError(str(error)) from error


class FlattensKinds(MsgpackCodec):
    def encode(self, value):
        return super().encode(json.loads(json.dumps(value, default=str)))


class ForgetsColumns(MsgpackCodec):
    """Gives every row the keys of the first."""

    def encode(self, value):
        if type(value) is list and value and set(map(type, value)) == {dict}:
            value = [{key: row.get(key) for key in value[0]} for row in value]
        return super().encode(value)


class SharesState(MsgpackCodec):
    def encode(self, value):
        self.last = value
        time.sleep(0.0005)  # a workload, so that threads are in it together
        return super().encode(self.last)


class GivesBytearray(MsgpackCodec):
    def encode(self, value):
        return bytearray(super().encode(value))


class Imports(MsgpackCodec):
    def encode(self, value):
        if type(value) is list and value and isinstance(value[0], enum.Enum):
            return super().encode(("enum", type(value[0]).__module__, type(value[0]).__name__, value[0].name))
        return super().encode(value)

    def decode(self, data):
        value = super().decode(data)
        if type(value) is tuple and value[:1] == ("enum",):
            return [getattr(importlib.import_module(value[1]), value[2])[value[3]]]
        return value


class Modest(MsgpackCodec):
    """Refuses all that JSON would change."""

    def encode(self, value):
        frame = super().encode(value)
        if re_read(value) is not None:
            raise CodecError("JSON has no such type")
        return frame


def re_read(value):
    from pipe_core.codecs.samples import difference
    try:
        return difference(value, json.loads(json.dumps(value)))
    except Exception as error:
        return str(error)


class TestGood(Kit): made = MsgpackCodec
class TestModest(Kit): made, lossless = Modest, False
class TestLosesTuples(Kit): made = LosesTuples
class TestSwallowsTail(Kit): made = SwallowsTail
class TestWrongOnFlip(Kit): made = WrongOnFlip
class TestWrongClass(Kit): made = WrongClass
class TestUnordered(Kit): made = Unordered
class TestNoPath(Kit): made = NoPath
class TestPickles(Kit): made = Pickles
class TestFlattensKinds(Kit): made = FlattensKinds
class TestForgetsColumns(Kit): made = ForgetsColumns
class TestSharesState(Kit): made = SharesState
class TestGivesBytearray(Kit): made = GivesBytearray
class TestImports(Kit): made = Imports
'''

EXPECTED = {
    "Good": None,
    "Modest": None,
    "LosesTuples": "test_a_value_comes_back_equal_and_of_equal_type[tuple]",
    "SwallowsTail": "test_every_cut_of_a_frame_is_refused",
    "WrongOnFlip": "test_every_flipped_bit_is_noticed",
    "WrongClass": "test_foreign_bytes_are_refused[text]",
    "Unordered": "test_equal_sets_give_equal_bytes",
    "NoPath": "test_a_value_that_cannot_travel_is_named_with_its_path[object]",
    "Pickles": "test_decoding_never_unpickles",
    "FlattensKinds": "test_random_values_come_back",
    "ForgetsColumns": "test_chunks_of_records_come_back",
    "SharesState": "test_many_threads_may_use_one_codec",
    "GivesBytearray": "test_encode_gives_bytes",
    "Imports": "test_decoding_never_imports",
}


CHOSEN = "not random or Good or Modest or Flattens"
"""Random values take the longest, so only those try them for whom they matter."""


@pytest.mark.parametrize("name", EXPECTED)
def test_the_kit_knows_good_from_wrong(name: str, failed: dict[str, set[str]]) -> None:
    expected = EXPECTED[name]
    assert failed[name] == set() if expected is None else expected in failed[name]
