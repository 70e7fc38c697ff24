"""Which formats batch nodes and streams read and write, and which stream can go on from which batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from pipe_core.kernel.errors import OptionsError
from pipe_core.kernel.index import suggestion

_FILES: Final = frozenset({"avro", "csv", "feather", "json", "jsonl", "orc", "parquet"})
_LOGS: Final = frozenset({"delta_stream", "kafka", "kinesis"})


def _follows() -> Mapping[str, frozenset[str]]:
    files = {name: frozenset({name, "file_stream"}) for name in _FILES}
    return {**files, "delta": frozenset({"delta", "delta_stream"}), "kafka": frozenset({"kafka"})}


@dataclass(frozen=True, slots=True)
class FormatPolicy:
    """What holds for formats where batch nodes and streams meet.

    Attributes:
        batch_inputs: Formats that batch nodes read.
        batch_outputs: Formats that they write.
        streaming_inputs: Formats that streams read.
        streaming_outputs: Formats that they write.
        compatible: For each format that a batch node writes, the formats as which a stream can read that.
        checkpoint_required: Formats of which a stream must say where it keeps how far it is.
    """

    batch_inputs: frozenset[str] = _FILES | {"delta", "kafka", "pickle", "query", "sql", "xml"}
    batch_outputs: frozenset[str] = _FILES | {"delta", "kafka", "pickle", "sql"}
    streaming_inputs: frozenset[str] = _LOGS | {"csv", "delta", "file_stream", "jsonl", "memory", "rate", "socket"}
    streaming_outputs: frozenset[str] = _FILES | {"console", "delta", "kafka", "memory", "sql"}
    compatible: Mapping[str, frozenset[str]] = field(default_factory=_follows)
    checkpoint_required: frozenset[str] = _LOGS

    @classmethod
    def of(cls, said: Any) -> Self:
        """The usual policy with what is *said* otherwise.

        Args:
            said: None, a policy, or some of its attributes as a mapping. They replace the usual ones; of `compatible`,
                each format by itself.

        Raises:
            OptionsError: There is no such attribute, or it is no list of names.
        """
        if said is None:
            return cls()
        if isinstance(said, cls):
            return said
        if not isinstance(said, Mapping):
            raise OptionsError(f"A policy of formats is a mapping, not of type {type(said).__name__}.")
        known = [one.name for one in dataclasses.fields(cls)]
        given: dict[str, Any] = {}
        for name, value in said.items():
            if name not in known:
                hint = suggestion(str(name), known)
                raise OptionsError(
                    f"A policy of formats has no '{name}'.{hint} It has {', '.join(known)}.",
                    problems={str(name): "unknown"},
                )
            given[name] = _compatible(value) if name == "compatible" else _names(name, value)
        return cls(**given)

    def is_compatible(self, written: str, read: str) -> bool:
        """Whether a stream that reads *read* can go on from what a batch node has written as *written*."""
        return read in self.compatible.get(written, frozenset({written}))


def _compatible(said: Any) -> Mapping[str, frozenset[str]]:
    if not isinstance(said, Mapping):
        raise OptionsError("'compatible' of a policy of formats is a mapping: {parquet: [file_stream]}.")
    return {**_follows(), **{str(name): _names(f"compatible.{name}", one) for name, one in said.items()}}


def _names(name: str, said: Any) -> frozenset[str]:
    names = [said] if isinstance(said, str) else list(said) if isinstance(said, Iterable) else [said]
    if not all(isinstance(one, str) for one in names):
        raise OptionsError(f"'{name}' of a policy of formats is a list of names.", problems={name: "no list of names"})
    return frozenset(names)
