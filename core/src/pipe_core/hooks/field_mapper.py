"""The hook `field_mapper`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from pipe_core.hooks.fields import FieldError, missing, place_of, record_of, schema_fields
from pipe_core.hooks.functions import call, check_function, check_word
from pipe_core.hooks.options import Missing, Target
from pipe_core.kernel.errors import OptionsError
from pipe_core.records.entry import Entry
from pipe_core.records.hooks import HookPriority
from pipe_core.records.store import HookStore

Compute: TypeAlias = Callable[[Entry, HookStore], Any]


class FieldMapperHook:
    """Renames fields, then computes others.

    Validated fields belong to their schema and cannot be renamed, so renaming belongs before validation. All renames
    happen at once, so two fields may swap their names.

    Args:
        mapping: ``{old: new}`` renames. A function in place of *new* computes, as in *compute*.
        compute: ``{name: function(entry, store)}``: the field and what it becomes, one after the other.
        field_mapping: Another name for *compute*.
        target: Where computed values are written: ``"record"``, or ``"metadata"``, which no sink writes.
        missing: A record without a field that is to be renamed: ``"fail"`` it, or ``"ignore"`` that.
        priority: When it runs among the hooks of its side.

    Raises:
        OptionsError: There is nothing to do, two fields get one name, or a function is none or async.
    """

    def __init__(
        self,
        mapping: Mapping[str, str | Compute] | None = None,
        compute: Mapping[str, Compute] | None = None,
        *,
        field_mapping: Mapping[str, Compute] | None = None,
        target: Target = "record",
        missing: Missing = "fail",
        priority: int = HookPriority.NORMAL,
    ) -> None:
        given = dict(mapping or {})
        self.priority = priority
        self._names = {old: new for old, new in given.items() if isinstance(new, str)}
        self._compute = {name: fn for name, fn in given.items() if not isinstance(fn, str)}
        self._compute |= {**(compute or {}), **(field_mapping or {})}
        self._target = target
        self._missing = missing
        self._check()

    def _check(self) -> None:
        check_word(self._target, Target, "FieldMapperHook: target")
        check_word(self._missing, Missing, "FieldMapperHook: missing")
        if not self._names and not self._compute:
            raise OptionsError(
                "FieldMapperHook has nothing to do. Give mapping={old: new} or compute={name: function}."
            )
        news = list(self._names.values())
        if twice := sorted({new for new in news if news.count(new) > 1}):
            raise OptionsError(f"FieldMapperHook: two fields cannot both become '{twice[0]}'.")
        for name, function in self._compute.items():
            check_function(function, f"FieldMapperHook: what computes '{name}'")

    def __call__(self, entry: Entry, store: HookStore) -> None:
        """Rename, then compute."""
        if self._names:
            self._rename(entry)
        if self._compute:
            self._write(entry, store)

    def _rename(self, entry: Entry) -> None:
        record = record_of(entry)
        names = {old: new for old, new in self._names.items() if old in record}
        if len(names) < len(self._names) and self._missing == "fail":
            raise missing(record, next(old for old in self._names if old not in names))
        if fixed := sorted(schema_fields(entry).intersection(names)):
            raise FieldError(f"'{fixed[0]}' is a field of the schema; rename it before validation, or give it an alias")
        for new in names.values():
            if new in record and new not in names:
                raise FieldError(f"a field is to be renamed to '{new}', but the record has a field of that name")
        if type(record) is dict:
            renamed = {names.get(name, name): value for name, value in record.items()}
            record.clear()  # in place: whoever holds the record sees its new names, in the old order
            record.update(renamed)
        else:
            _move(record, names)

    def _write(self, entry: Entry, store: HookStore) -> None:
        place = place_of(entry, self._target)
        for name, function in self._compute.items():
            place[name] = call(function, entry, store, f"computing '{name}'")


def _move(record: MutableMapping[str, Any], names: Mapping[str, str]) -> None:
    values = {new: record[old] for old, new in names.items()}
    for old in names:
        del record[old]
    record.update(values)
