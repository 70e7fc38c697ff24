"""The schema: what a record must be, and how what it became is written down."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Final, get_origin

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, RootModel, TypeAdapter
from pydantic_core import from_json, to_json, to_jsonable_python

from pipe_core.kernel.contracts import Serializer
from pipe_core.kernel.ctrl_c import is_ctrl_c
from pipe_core.kernel.errors import SchemaError
from pipe_core.records.legible import legible


class Schema:
    """Validates values and serialises what they became, exactly as ``TypeAdapter(kind)`` does.

    Args:
        kind: A pydantic model, a dataclass, a `TypedDict` or any other type that pydantic takes.

    Raises:
        SchemaError: *kind* is no type, or pydantic cannot make a schema of it.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.name = getattr(kind, "__name__", str(kind))
        self._known: list[Any] | None = None
        self._adapter  # noqa: B018  # what is wrong with the schema is said now

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        adapter = _adapter(self.kind)
        if self._known is not None and self._facts() != self._known:
            raise SchemaError(
                f"{self.name} arrived on a worker with other fields than it has on the driver: {self._facts()}, and "
                f"there {self._known}. Are the versions of pydantic the same on both sides?"
            )
        return adapter

    @property
    def validate(self) -> Callable[[Any], Any]:
        """The validator as a C function: one value in, one value out, or an exception."""
        return self._adapter.validator.validate_python

    @property
    def json(self) -> Callable[[Any], bytes]:
        """As ``model_dump_json``, in bytes."""
        return self._adapter.serializer.to_json

    @property
    def python(self) -> Callable[[Any], Any]:
        """As ``model_dump``."""
        return self._adapter.serializer.to_python

    @property
    def jsonable(self) -> Callable[[Any], Any]:
        """As ``model_dump(mode="json")``."""
        serialize = self._adapter.serializer.to_python
        return lambda value: serialize(value, mode="json")

    @cached_property
    def fields(self) -> tuple[str, ...] | None:
        """The names under which fields are written, in order; None where the schema has no fixed ones."""
        return _fields(self.kind)

    @cached_property
    def closed(self) -> tuple[str, ...] | None:
        """The names of all attributes of a validated instance, in order, where they are the fields of one model."""
        kind = self.kind
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or issubclass(kind, RootModel):
            return None
        return None if kind.model_config.get("extra") == "allow" else tuple(kind.model_fields)

    def are_closed(self, values: Sequence[Any]) -> bool:
        """Whether all of *values* are instances of that model, and so hold their attributes in their ``__dict__``."""
        return self.closed is not None and set(map(type, values)) == {self.kind}

    @cached_property
    def required(self) -> frozenset[str]:
        """The names under which fields without a default are read, aliases included."""
        return _required(self.kind)

    def _facts(self) -> list[Any]:
        return [self.fields, self.closed, sorted(self.required)]

    def __getstate__(self) -> dict[str, Any]:
        # On a worker the adapter is made at its first use: a model that comes by value is whole only behind all else.
        return {"kind": self.kind, "name": self.name, "_known": self._facts()}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if not _is_type(kind):
        what = "a function" if inspect.isroutine(kind) else f"a {type(kind).__name__}"
        raise SchemaError(
            f"{kind!r} is {what}, no schema. Give a pydantic model, a dataclass, a TypedDict or another type."
        )
    try:
        adapter = TypeAdapter(kind)
        adapter.rebuild(raise_errors=True)
        adapter.validator.title  # noqa: B018  # a schema with defer_build is built by the first look, so look here
    except (PydanticSchemaGenerationError, PydanticUserError, NameError, TypeError) as error:
        name = getattr(kind, "__name__", kind)
        raise SchemaError(f"pydantic cannot make a schema of {name}: {error}") from error
    return adapter


def _is_type(kind: Any) -> bool:
    if inspect.isroutine(kind) or inspect.ismodule(kind) or isinstance(kind, str):
        return False
    return isinstance(kind, type) or get_origin(kind) is not None or type(kind).__module__ == "typing"


def _fields(kind: Any) -> tuple[str, ...] | None:
    if not isinstance(kind, type) or issubclass(kind, RootModel):
        return None
    if issubclass(kind, BaseModel):
        alias = kind.model_config.get("serialize_by_alias", False)
        plain = [
            (field.serialization_alias or name) if alias else name
            for name, field in kind.model_fields.items()
            if field.exclude is not True
        ]
        computed = [(field.alias or name) if alias else name for name, field in kind.model_computed_fields.items()]
        return (*plain, *computed)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return tuple(kind.__annotations__) if _is_typed_dict(kind) else None


def _required(kind: Any) -> frozenset[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, RootModel):
        names: set[str] = set()
        for name, field in kind.model_fields.items():
            if not field.is_required():
                continue
            aliases = field.validation_alias or field.alias
            names.update([name, aliases] if isinstance(aliases, str) else [name])
            if aliases is not None and not isinstance(aliases, str):
                return frozenset()  # paths and choices of aliases: too much to judge from a header
        return frozenset(names)
    if _is_typed_dict(kind):
        return frozenset(kind.__required_keys__)
    return frozenset()


def _is_typed_dict(kind: Any) -> bool:
    """Also for those of `typing_extensions`, which `typing.is_typeddict` does not know on every Python."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__required_keys__")


class QuietSerializer:
    """Writes values as their schema says, without the warnings of pydantic, which show values of a wrong type.

    Args:
        schema: The schema.
    """

    def __init__(self, schema: Schema) -> None:
        self.fields = schema.fields
        self._json: Any = schema.json
        self._python: Any = schema.python

    @property
    def json(self) -> Callable[[Any], bytes]:
        """As `Schema.json`."""
        return partial(self._json, warnings=False)

    @property
    def python(self) -> Callable[[Any], Any]:
        """As `Schema.python`."""
        return partial(self._python, warnings=False)

    @property
    def jsonable(self) -> Callable[[Any], Any]:
        """As `Schema.jsonable`."""
        return partial(self._python, mode="json", warnings=False)


class PlainSerializer:
    """For records without a schema: whatever pydantic can write down.

    Args:
        fields: The names of the fields, where others are written with a schema beside them.
    """

    def __init__(self, fields: tuple[str, ...] | None = None) -> None:
        self.fields = fields

    @property
    def json(self) -> Callable[[Any], bytes]:
        """Any value as JSON bytes."""
        return to_json

    @property
    def python(self) -> Callable[[Any], Any]:
        """The value as it is."""
        return _itself

    @property
    def jsonable(self) -> Callable[[Any], Any]:
        """Any value as data that JSON knows."""
        return to_jsonable_python


def _itself(value: Any) -> Any:
    return value


class ExtendedSerializer:
    """Writes ``(value, added)``: the value as its schema says, then the keys that hooks added."""

    def __init__(self, schema: Serializer) -> None:
        self._schema = schema
        self.fields = schema.fields

    def json(self, pair: tuple[Any, dict[str, Any]]) -> bytes:
        """The JSON object of the value, with the added keys behind its fields."""
        value, added = pair
        head, tail = self._schema.json(value), to_json(added)
        return head[:-1] + (b"," if len(head) > 2 else b"") + tail[1:]

    def python(self, pair: tuple[Any, dict[str, Any]]) -> Any:
        """The value's fields and the added keys in one dictionary."""
        value, added = pair
        return {**self._schema.python(value), **added}

    def jsonable(self, pair: tuple[Any, dict[str, Any]]) -> Any:
        """The same as data that JSON knows."""
        value, added = pair
        return {**self._schema.jsonable(value), **to_jsonable_python(added)}


_ERROR_FIELDS: Final = ("position", "phase", "errors", "raw", "data", "hook", "attempt")


class ErrorSerializer:
    """Writes rows of an error sink. Never fails: what has no JSON form is written as its text."""

    fields = _ERROR_FIELDS

    def json(self, row: dict[str, Any]) -> bytes:
        """The row as JSON; what is not UTF-8 is escaped."""
        try:
            return to_json(row, inf_nan_mode="strings", serialize_unknown=True)
        except BaseException as error:  # a hostile record may break a serializer in any way; its legible form none
            if is_ctrl_c(error):
                raise
            return to_json(legible(row))

    def python(self, row: dict[str, Any]) -> Any:
        """The row as it is."""
        return row

    def jsonable(self, row: dict[str, Any]) -> Any:
        """The row as data that JSON knows."""
        try:
            return from_json(self.json(row))
        except ValueError:  # nested more deeply than can be read back
            return legible(row)
