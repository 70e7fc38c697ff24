"""What was asked of a run, as plain data: a resumed run must be asked the same, on whatever executor."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from pipe_core.kernel.contracts import FingerprintedSource
from pipe_core.records.places import options_of
from pipe_core.runs.errors import ResumeError

if TYPE_CHECKING:
    from pipe_core.records.hooks import BoundHook
    from pipe_core.records.opening import Ends
    from pipe_core.records.plan import Wishes
    from pipe_core.records.schema import Schema

_REACHING: Final = frozenset({"storage_options", "config", "connect_args", "timeout"})
"""Options that say how a place is reached, and how patiently: by these names they may differ in a resumed run."""

_WORDS: Final = {
    "source": "its source",
    "sink": "its sink",
    "errors": "its error sink",
    "source_options": "what was said of its source",
    "sink_options": "what was said of its sink",
    "errors_options": "what was said of its error sink",
    "mode": "its mode",
    "limit": "its limit",
    "schema": "its schema",
    "hooks": "its hooks",
    "chunk_size": "its chunk size",
    "error_payload": "what error rows show",
}


_DIGESTED: Final = frozenset({"schema", "source_options", "sink_options", "errors_options"})
"""Of which nothing but a digest is kept."""

_DIGEST: Final = re.compile("[0-9a-f]{32,}")
"""What says nothing to a reader."""


def asked_of(
    wishes: Wishes,
    ends: Ends,
    schema: Schema | None,
    hooks: Iterable[BoundHook],
    *,
    exact: int | None,
    error_payload: str,
) -> dict[str, Any]:
    """What decides which rows come of a run. Where it runs, and how fast, is not among it."""
    hooks = list(hooks)
    source, sink, errors = ends.source, ends.sink, ends.errors
    return {
        "source": source.name,
        "sink": None if sink is None else sink.name,
        "errors": None if errors is None else errors.name,
        **{f"{word}_options": _options(getattr(wishes, word)) for word in ("source", "sink", "errors")},
        "mode": wishes.mode,
        "limit": wishes.limit,
        "schema": None if schema is None else [schema.name, _shape(wishes.schema)],
        "hooks": [hook.name for hook in hooks],
        "chunk_size": exact,
        "error_payload": error_payload,
        "code": _codes(wishes.schema, hooks),
        "input": dict(source.fingerprint()) if isinstance(source, FingerprintedSource) else None,
    }


def check_same(began: Mapping[str, Any], now: Mapping[str, Any], run: str, *, force: bool) -> list[str]:
    """Compare what is asked now with what was when the run began.

    Returns:
        What a reader of the report should know.

    Raises:
        ResumeError: The records or what becomes of them are others, and nobody says *force*.
    """
    began = json.loads(json.dumps(began))  # as the journal gives it back
    now = json.loads(json.dumps(now))
    changed = [
        f"{word} has changed" if key in _DIGESTED else f"{word} was {_shown(began.get(key))} and is {_shown(now[key])}"
        for key, word in _WORDS.items()
        if began.get(key) != now[key]
    ]
    if began.get("input") != now["input"]:
        changed.append(f"{now['source']} has changed ({_difference(began.get('input'), now['input'])})")
    if changed and not force:
        raise ResumeError(
            f"The run {run} cannot go on as it is: {'; '.join(changed)}. What it has written so far would not fit "
            f"to the rest. Run the pipe anew, or resume with force to go on all the same."
        )
    notes = [f"resumed by force: {one}" for one in changed]
    codes = [name for name, code in now["code"].items() if began.get("code", {}).get(name, code) != code]
    if codes:
        notes.append(
            f"the code of {', '.join(codes)} has changed since the run began: its first records were made by it"
        )
    return notes


def check_targets(began: Mapping[str, Any], sink: str | None, errors: str | None, run: str) -> None:
    """As `check_same`, for a run of which nothing but its targets counts any more. Raises `ResumeError`."""
    for word, before, now in (("sink", began.get("sink"), sink), ("error sink", began.get("errors"), errors)):
        if before != now:
            raise ResumeError(
                f"All of the run {run} was written, and its {word} was {_shown(before)} and is {_shown(now)}. "
                f"Resume it with the one that it had."
            )


def _options(given: Any) -> str | None:
    """A digest of options, which may hold secrets; without those that may differ."""
    found = {key: value for key, value in options_of(given).items() if key not in _REACHING}
    if not found:
        return None
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=_kind).encode()).hexdigest()[:16]


def _kind(value: Any) -> str:
    return type(value).__name__


def _shape(schema: Any) -> str:
    """A digest of the fields that a schema says, whatever it is called."""
    try:
        shape = json.dumps(TypeAdapter(schema).json_schema(), sort_keys=True, default=str)
    except Exception:  # a type that JSON has no schema for
        shape = ""
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def _codes(schema: Any, hooks: Iterable[BoundHook]) -> dict[str, str]:
    """A digest of the source code of the schema and of each hook, where there is one to read."""
    named = [("the schema", schema), *((hook.name, hook.source) for hook in hooks)]
    return {name: code for name, one in named if one is not None and (code := _code(one)) is not None}


def _code(one: Any) -> str | None:
    while hasattr(one, "func"):  # a partial
        one = one.func
    try:
        text = inspect.getsource(one if inspect.isclass(one) or inspect.isroutine(one) else type(one))
    except (OSError, TypeError):  # written in C, or typed at a prompt
        return None
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _shown(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else repr(value)


def _difference(before: Any, now: Any) -> str:
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return "nobody can tell in what"
    names = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return ", ".join(_changed(name, before.get(name), now.get(name)) for name in names[:3])


def _changed(name: str, before: Any, now: Any) -> str:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return f"{name}: {_difference(before, now)}"
    if isinstance(before, Mapping) or isinstance(now, Mapping):
        return f"{name} is {'gone' if now is None else 'new'}"
    if isinstance(before, str) and _DIGEST.fullmatch(before):
        return f"{name} is another one"
    if name == "modified":
        before, now = _moment(before), _moment(now)
    return f"{name} was {before} and is {now}"


def _moment(nanoseconds: Any) -> Any:
    if type(nanoseconds) is not int:
        return nanoseconds
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
