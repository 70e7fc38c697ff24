"""Records one after the other against a contract. Each comes through as what it was: dictionaries stay dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from operator import is_
from typing import Any, Final

from pipe_core.project.catalog.values import grouped, plain
from pipe_core.project.config.models import Policy
from pipe_core.project.contracts.errors import Misfit
from pipe_core.project.contracts.shape import ABSENT, LACKING, Shape
from pipe_core.project.contracts.tally import Tally

_SIMPLE: Final = frozenset({str, int, float, bool, type(None), bytes, date, datetime, Decimal})
"""Types of most values, which hold nothing else."""
UNKNOWN: Final = "The schema has no such field"


@dataclass(slots=True)
class Kept:
    """Records that came through.

    Attributes:
        records: The records.
        positions: The position of each among those given.
    """

    records: list[Any] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rows:
    """Holds records against a schema.

    Args:
        shape: The schema.
        policy: What happens to records that are otherwise.
        typed: Whether records come out as the instances that the schema makes of them, where it makes some.
    """

    shape: Shape
    policy: Policy
    typed: bool = False

    def check(self, records: Iterable[Any], tally: Tally) -> Kept:
        """Those of *records* that come through."""
        kept = Kept()
        for group in grouped(records):
            self._group(group, tally, kept)
            tally.records += len(group)
        return kept

    def _group(self, group: Sequence[Any], tally: Tally, kept: Kept) -> None:
        given = [one if type(one) is dict or self.shape.is_one(one) else plain(one) for one in group]
        extras = [self._extras(one) for one in given]
        known = [_less(one, extra) if extra else one for one, extra in zip(given, extras, strict=True)]
        made, bad = self.shape.validated(known)
        for index in range(len(group)):
            position = tally.records + index
            out = self._one(position, known[index], made[index], bad.get(index, ()), extras[index], tally)
            if out is not ABSENT:
                kept.records.append(out)
                kept.positions.append(position)

    def _extras(self, record: Any) -> dict[str, Any]:
        keys = self.shape.keys
        if self.shape.is_open or not (type(record) is dict or isinstance(record, Mapping)):
            return {}
        if record.keys() <= keys.keys():
            return {}
        return {key: value for key, value in record.items() if key not in keys}

    def _one(
        self,
        position: int,
        known: Any,
        made: Any,
        misfits: Sequence[Misfit],
        extras: Mapping[str, Any],
        tally: Tally,
    ) -> Any:
        """What becomes of a record; `ABSENT`: nothing.

        Args:
            position: Its position.
            known: The record without fields that the schema does not know.
            made: What the schema makes of it.
            misfits: What is wrong with it.
            extras: The fields that the schema does not know.
            tally: Is told.
        """
        if extras and self.policy != "evolve":
            strange = [Misfit(name, value, UNKNOWN) for name, value in extras.items()]
            told = strange if self.policy == "freeze" else [one for one in strange if one.value is not None]
            if told and self.policy == "discard_value":
                tally.discard_values(position, [str(one.field) for one in told], told)
            elif told:
                misfits = [*misfits, *told]
        if misfits:
            return self._misfit(position, known, misfits, tally)
        if extras and self.policy == "evolve":
            tally.new_fields.update(dict.fromkeys(map(str, extras)))
            return {**self._out(known, made, typed=False), **extras}
        return self._out(known, made, typed=self.typed)

    def _misfit(self, position: int, known: Any, misfits: Sequence[Misfit], tally: Tally) -> Any:
        if self.policy == "discard_row":
            tally.discard_row(position, misfits)
            return ABSENT
        if self.policy == "discard_value" and (mended := self._mended(known, misfits)) is not ABSENT:
            tally.discard_values(position, {str(one.top) for one in misfits}, misfits)
            return mended
        tally.refuse(position, misfits)
        return ABSENT

    def _out(self, known: Any, made: Any, *, typed: bool) -> Any:
        """A record that fits, with its keys and in their order, and its values as the schema has them."""
        if typed or not isinstance(known, Mapping):
            return made if typed or not self.shape.is_one(known) else known
        values = self.shape.values(made)
        if not self.shape.renames and values.keys() == known.keys():  # most records are like that
            if all(map(is_, map(values.__getitem__, known), known.values())):
                return known
            return {key: one if type(one := values[key]) in _SIMPLE else _kept(one, known[key]) for key in known}
        out = {}
        for key, given in known.items():
            name = self._field(key)
            out[key] = _kept(values.pop(name), given) if name in values else given
        if not values and all(map(is_, out.values(), known.values())):
            return known
        return {**out, **{name: unmodelled(value) for name, value in values.items()}}

    def _mended(self, known: Any, misfits: Sequence[Misfit]) -> Any:
        """A record without the values that do not fit; `ABSENT` where that cannot be."""
        bad = {one.top for one in misfits}
        if None in bad or not isinstance(known, Mapping):
            return ABSENT
        left = {key: value for key, value in known.items() if self._field(key) not in bad}
        (made,), refused = self.shape.validated([left])
        if not refused:
            values = self._out(left, made, typed=False)
        elif {one.top for one in refused[0]} <= bad:
            values = {key: self._accepted(self._field(key), value) for key, value in left.items()}
        else:
            return ABSENT
        out = {}
        for key in known:
            name = self._field(key)
            out[key] = self._instead(name, values) if name in bad else values.pop(key)
        names = dict.fromkeys(self.shape.keys.values())
        seen = {self._field(key) for key in known} | values.keys()
        out |= values | {name: self._instead(name, {}) for name in names if name not in seen}
        return {key: value for key, value in out.items() if value is not ABSENT}

    def _field(self, key: str) -> str:
        return self.shape.keys.get(key, key)

    def _accepted(self, name: str, value: Any) -> Any:
        made = self.shape.accepts(name, value)
        return value if made is value else unmodelled(made)

    def _instead(self, name: str, values: dict[str, Any]) -> Any:
        """What stands where a value of the field *name* was discarded: its default, else None."""
        default = values.pop(name) if name in values else self.shape.default(name)
        return None if default is LACKING else default


def _kept(value: Any, given: Any) -> Any:
    """The value of a field of a record that stays a dictionary, and that held what was *given*."""
    return given if value is given else unmodelled(value)


def _less(record: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in extras}


def unmodelled(value: Any) -> Any:
    """A value with the models in it as dictionaries."""
    if type(value) in _SIMPLE:
        return value
    value = plain(value)
    if isinstance(value, list):
        return [unmodelled(one) for one in value]
    if isinstance(value, dict):
        return {key: unmodelled(one) for key, one in value.items()}
    return value
