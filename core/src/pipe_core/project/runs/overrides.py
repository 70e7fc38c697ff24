"""What was set beside a project's files: which of it a journal keeps, so that a resumed run is of the same project.

A journal holds no secrets. References such as ``${secret:NAME}`` are none; what is likely to be one by its name, or by
what it looks like, is named only, and whoever resumes the run says it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pipe_core.looks.redaction import is_secret, redact
from pipe_core.project.runs.keeping import is_json

_REFERENCE: Final = re.compile(r"\$\{secret:\w+\}")
_NAMING: Final = frozenset({"catalog", "nodes", "pipelines", "environments"})
"""Sections whose keys are names that people give: a node may be called `authenticate`."""
_LONG: Final = 4
"""So long is a secret at least that is looked for inside of other text."""


def may_be_kept(key: str, value: Any) -> bool:
    """Whether what was set is plain data in which there is no secret, as far as anybody can tell."""
    parts = key.split(".")
    said = [part for place, part in enumerate(parts) if place != 1 or parts[0] not in _NAMING]
    return is_json(value) and not any(map(is_secret, said)) and not any(map(_is_private, _texts(value)))


def as_kept(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """*overrides* as a journal keeps them: those that it may hold, and the names of the others."""
    kept = {key: value for key, value in overrides.items() if may_be_kept(key, value)}
    return {"overrides": kept, "overrides_left_out": [key for key in overrides if key not in kept]}


def overrides_of(events: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What was set for a run, and the names of what else was, from its journal. The last part of the run counts."""
    kept: dict[str, Any] = {}
    left_out: dict[str, None] = {}
    for event in events:
        if event.get("event") != "run":
            continue
        for key, value in event.get("overrides", {}).items():
            kept[key] = value
            left_out.pop(key, None)
        for key in event.get("overrides_left_out", ()):
            left_out[key] = None
            kept.pop(key, None)
    return kept, tuple(left_out)


def _texts(value: Any) -> Sequence[str]:
    """All text in plain data, keys among it."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *_texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _is_private(text: str) -> bool:
    """Whether there may be a secret in *text*: in a URL, beside a word such as ``password``, or one of this process."""
    text = _REFERENCE.sub("", text)
    if is_secret(text) or redact(text) != text:
        return True
    secrets = [value for name, value in os.environ.items() if value and is_secret(name)]
    return any(secret == text or (len(secret) >= _LONG and secret in text) for secret in secrets)
