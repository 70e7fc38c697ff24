"""A pydantic model, a dataclass or a `TypedDict` as what a contract asks."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from pipe_core.kernel.error_text import error_text
from pipe_core.project.catalog.values import installed, plain
from pipe_core.project.contracts.errors import Misfit
from pipe_core.project.contracts.shape import ABSENT, LACKING, Nothing, Refused
from pipe_core.records.schema import Schema
from pipe_core.records.validate import apply

_PLAIN: Final[Mapping[type, tuple[str, ...]]] = {
    int: ("is_integer",),
    float: ("is_floating",),
    str: ("is_string", "is_large_string"),
    bytes: ("is_binary", "is_large_binary"),
    bool: ("is_boolean",),
    date: ("is_date",),
    datetime: ("is_timestamp",),
}
"""Which columns hold nothing but such values, beside nulls."""


@dataclass(frozen=True, slots=True)
class _Field:
    annotation: Any
    default: Any
    is_bare: bool
    """Whether the annotation says all that there is to say."""


class ModelShape:
    """A schema that pydantic takes.

    Args:
        kind: The type.

    Raises:
        SchemaError: It is none.
    """

    def __init__(self, kind: Any) -> None:
        self._schema = Schema(kind)
        self._kind = kind
        self._fields = _fields_of(kind)
        self.name = self._schema.name
        self.keys: Mapping[str, str] = _keys_of(kind, self._fields or ())
        self.is_open = self._fields is None or _allows_more(kind)
        self.renames = any(key != name for key, name in self.keys.items())
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def is_one(self, record: Any) -> bool:
        """Whether *record* is an instance. A dictionary is never one."""
        return isinstance(self._kind, type) and not isinstance(record, dict) and _is_of(record, self._kind)

    # --- records ---

    def validated(self, records: Sequence[Any]) -> tuple[list[Any], Refused]:
        """What the schema makes of *records*, None where one does not fit; and those that do not."""
        made, failed = apply(self._schema.validate, records, lambda: True)
        for index, _ in failed:
            made.insert(index, None)
        return made, {index: self._misfits(error, records[index]) for index, error in failed}

    def _misfits(self, error: BaseException, record: Any) -> list[Misfit]:
        if not isinstance(error, ValidationError):
            return [Misfit(None, record, error_text(error))]
        found = []
        for one in error.errors(include_url=False, include_context=False):
            first, *inner = one["loc"] or (None,)
            top = None if self._fields is None or first is None else self.keys.get(str(first), str(first))
            field = None if top not in (self._fields or ()) else ".".join(map(str, (top, *inner)))
            is_missing = one["type"] == "missing" and not inner
            found.append(Misfit(field, None if is_missing else one["input"], one["msg"]))
        return found

    def values(self, made: Any) -> dict[str, Any]:
        """What `validated` made of a mapping, by fields."""
        if isinstance(made, dict):
            return made
        inner = vars(made) if hasattr(made, "__dict__") else {name: getattr(made, name) for name in self._fields or ()}
        extra = getattr(made, "__pydantic_extra__", None) or {}
        if self._fields is None or len(inner) == len(self._fields):
            return {**inner, **extra}
        return {**{name: inner[name] for name in self._fields}, **extra}

    def accepts(self, field: str, value: Any) -> Any:
        """*value* as the field alone has it."""
        if field not in (self._fields or ()):  # of an open schema
            return value
        return self._adapter(field).validate_python(value)

    def default(self, field: str) -> Any:
        """What a record that lacks *field* has there."""
        return (self._fields or {})[field].default

    def _adapter(self, name: str) -> TypeAdapter[Any]:
        if name not in self._adapters:
            self._adapters[name] = TypeAdapter((self._fields or {})[name].annotation)
        return self._adapters[name]

    # --- columns ---

    def column(self, field: str, column: Any) -> tuple[Any, Refused] | None:
        """A column as the field has it, and what of it does not fit. None where a validator must see the records."""
        if not self._has_only_fields:
            return None
        bare, nullable = self._bare(field)
        types = installed("pyarrow").types
        is_bare = bare is not None and any(getattr(types, test)(column.type) for test in _PLAIN[bare])
        if is_bare and (nullable or not column.null_count):
            return column, {}
        return self._looked_at(field, column)

    def _bare(self, field: str) -> tuple[type | None, bool]:
        found = (self._fields or {})[field]
        choices = typing.get_args(found.annotation) or (found.annotation,)
        rest = [one for one in choices if one is not type(None)]
        is_known = found.is_bare and len(rest) == 1 and rest[0] in _PLAIN
        return (rest[0] if is_known else None), len(rest) < len(choices)

    def _looked_at(self, field: str, column: Any) -> tuple[Any, Refused]:
        given = column.to_pylist()
        validate = self._adapter(field).validator.validate_python
        made, failed = apply(validate, given, lambda: True)
        for index, _ in failed:
            made.insert(index, None)
        bad = {index: [_field_misfit(field, given[index], error)] for index, error in failed}
        return as_column(column, given, made), bad

    @cached_property
    def _has_only_fields(self) -> bool:
        """Whether a record fits where each of its fields does."""
        if self._fields is None or self.is_open:
            return False
        found = getattr(self._kind, "__pydantic_decorators__", None)
        validators = ("validators", "field_validators", "root_validators", "model_validators")
        own = any(getattr(found, one, None) for one in validators)
        config = getattr(self._kind, "model_config", None) or getattr(self._kind, "__pydantic_config__", None) or {}
        return not own and not config and "__post_init__" not in dir(self._kind)


def as_column(column: Any, given: Sequence[Any], made: Sequence[Any]) -> Any:
    """The values *made* of those *given* in a column; the column itself where nothing has changed."""
    if all(one is other or (type(one) is type(other) and one == other) for one, other in zip(given, made, strict=True)):
        return column
    array = as_array(made)  # values fit also where no column can hold what the schema makes of them
    return column if array is None else installed("pyarrow").chunked_array([array])


def as_array(values: Sequence[Any]) -> Any:
    """An array of Arrow of *values*; None where there is no type for them."""
    arrow = installed("pyarrow")
    try:
        return arrow.array(list(map(plain, values)))
    except (arrow.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _field_misfit(field: str, value: Any, error: BaseException) -> Misfit:
    if not isinstance(error, ValidationError):
        return Misfit(field, value, error_text(error))
    first = error.errors(include_url=False, include_context=False)[0]
    return Misfit(".".join(map(str, (field, *first["loc"]))), first["input"], first["msg"])


def _is_of(record: Any, kind: type) -> bool:
    try:
        return isinstance(record, kind)
    except TypeError:  # a TypedDict
        return False


# --- what there is to know of a type ---


def _fields_of(kind: Any) -> dict[str, _Field] | None:
    if not isinstance(kind, type) or issubclass(kind, RootModel):
        return None
    if issubclass(kind, BaseModel):
        return {name: _of_info(info) for name, info in kind.model_fields.items()}
    infos = getattr(kind, "__pydantic_fields__", None)
    if infos is not None:  # a dataclass of pydantic's
        return {name: _of_info(info) for name, info in infos.items()}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {one.name: _Field(hints[one.name], _default_of(one), True) for one in dataclasses.fields(kind)}
    if issubclass(kind, dict) and hasattr(kind, "__required_keys__"):
        hints = typing.get_type_hints(kind, include_extras=False)
        rich = typing.get_type_hints(kind, include_extras=True)
        return {
            name: _Field(_unwrapped(rich[name]), _default_key(kind, name, rich[name]), _unwrapped(rich[name]) == hint)
            for name, hint in hints.items()
        }
    return None


def _of_info(info: FieldInfo) -> _Field:
    annotation = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    default = LACKING if info.is_required() else _first_default(info)
    return _Field(annotation, default, not info.metadata)


def _first_default(info: FieldInfo) -> Any:
    if info.default_factory_takes_validated_data:
        return None
    return info.get_default(call_default_factory=True)


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return LACKING if field.default_factory is dataclasses.MISSING else field.default_factory()


def _default_key(kind: Any, name: str, hint: Any) -> Nothing:
    """Whether a key may be left out. Its hint counts: the class does not know those of postponed annotations."""
    said = getattr(typing.get_origin(hint), "_name", None)
    if said in ("Required", "NotRequired"):
        return LACKING if said == "Required" else ABSENT
    return LACKING if name in kind.__required_keys__ else ABSENT


def _unwrapped(hint: Any) -> Any:
    """The hint of a key without `Required`, `NotRequired` and `ReadOnly`."""
    name = getattr(typing.get_origin(hint), "_name", None)
    return _unwrapped(typing.get_args(hint)[0]) if name in ("Required", "NotRequired", "ReadOnly") else hint


def _allows_more(kind: Any) -> bool:
    """Whether fields that it does not name belong to it."""
    configs = (getattr(kind, "model_config", None), getattr(kind, "__pydantic_config__", None))
    return any((config or {}).get("extra") == "allow" for config in configs)


def _keys_of(kind: Any, fields: Iterable[str]) -> dict[str, str]:
    """For each key that is read, its field."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {name: name for name in fields}
    config, found = kind.model_config, {}
    for name, info in kind.model_fields.items():
        aliases = dict(_aliases(info.validation_alias or info.alias, name))
        by_name = config.get("populate_by_name") or config.get("validate_by_name")
        if not aliases or by_name:
            found[name] = name
        if config.get("validate_by_alias", True):
            found.update(aliases)
    return found


def _aliases(said: str | AliasPath | AliasChoices | None, name: str) -> Iterator[tuple[str, str]]:
    """The keys that *said* reads, each with the field whose value it holds; of a path, which holds more, itself."""
    if isinstance(said, str):
        yield said, name
    elif isinstance(said, AliasPath):
        yield str(said.path[0]), name if len(said.path) == 1 else str(said.path[0])
    elif said is not None:
        for one in said.choices:
            yield from _aliases(one, name)
