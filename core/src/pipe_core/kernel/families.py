"""The six families of plugins, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pipe_core.kernel.specs import CodecSpec, ExecutorSpec, FormatSpec, HookSpec, ObserverSpec, SchedulerSpec, Spec


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of plugin.

    Attributes:
        name: Plural, as in the entry-point group.
        word: Singular, as in messages, settings and hook names.
        spec: The class of what the provider hook returns.
        contract: The protocol in `pipe_core.kernel.contracts` that the product fulfils.
        published: Names that a known distribution offers, for install hints only: nothing is imported by them.
    """

    name: str
    word: str
    spec: type[Spec[Any]]
    contract: str
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The entry-point group."""
        return f"pipe_core.{self.name}"

    @property
    def provider(self) -> str:
        """The name of the hook that describes a plugin of this family."""
        return f"pipe_{self.word}"


_EXECUTORS = {name: f"pipe-{name}" for name in ("threads", "asyncio", "loky", "dask", "ray")}
_FORMATS = {
    **dict.fromkeys(("parquet", "orc", "feather", "avro"), "pipe-arrow"),
    **dict.fromkeys(("sql", "sqlite", "postgresql"), "pipe-sql"),
    "delta": "pipe-delta",
    "kafka": "pipe-kafka",
}
_OBSERVERS = {"opentelemetry": "pipe-opentelemetry"}

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("executors", "executor", ExecutorSpec, "Backend", _EXECUTORS),
            Family("schedulers", "scheduler", SchedulerSpec, "Scheduler"),
            Family("codecs", "codec", CodecSpec, "Codec"),
            Family("hooks", "hook", HookSpec, "RecordHook"),
            Family("formats", "format", FormatSpec, "Format", _FORMATS),
            Family("observers", "observer", ObserverSpec, "Observer", _OBSERVERS),
        )
    }
)
