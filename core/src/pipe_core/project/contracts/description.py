"""What a schema says, as plain data: the same in every process as long as the schema says the same."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any, Final, is_typeddict
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter

from pipe_core.project.catalog.values import is_arrow_schema

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_WORDS: Final = frozenset({"title", "description"})
"""What a JSON schema says for people only."""

_known: Final[WeakKeyDictionary[type, Any]] = WeakKeyDictionary()


def described(schema: Any) -> Any:
    """The fields of *schema*, with their types and what is said of them; None for what is no schema."""
    if is_arrow_schema(schema):
        return [[field.name, str(field.type), field.nullable] for field in schema]
    if not isinstance(schema, type):
        return None
    if not (hasattr(schema, "model_fields") or hasattr(schema, "__dataclass_fields__") or is_typeddict(schema)):
        return None
    if schema not in _known:
        _known[schema] = _described(schema)
    return _known[schema]


def _described(kind: type) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of defaults that JSON cannot say
            return _without_words(TypeAdapter(kind).json_schema())
    except Exception:  # it has types of which JSON knows nothing
        kinds = {name: kind for one in reversed(kind.__mro__) for name, kind in inspect.get_annotations(one).items()}
        return {name: _ADDRESS.sub("", str(kind)) for name, kind in kinds.items()}


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        said = {key: one for key, one in value.items() if key not in _WORDS or not isinstance(one, str)}
        return {key: _without_words(one) for key, one in said.items()}
    return list(map(_without_words, value)) if isinstance(value, list) else value
