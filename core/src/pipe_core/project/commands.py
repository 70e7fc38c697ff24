"""Commands: one call of a node's function, with its inputs, its dates and what machine learning adds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Protocol

from pipe_core.project.hyperparams import merge_hyperparams
from pipe_core.project.signature import ML_CONTEXT, Signature


class Command(Protocol):
    """Something that can be executed."""

    def execute(self) -> Any:
        """Do it, and give the result. What it raises comes through unchanged."""


class NodeCommand:
    """Calls a node's function, exactly once for each `execute`.

    Args:
        function: What is called. One that is ``async def`` gives a coroutine.
        input_dfs: Its arguments, in order.
        start_date: The first day of the window, as ISO text. Passed by keyword, where the function takes it: as a
            `datetime.date` or `datetime.datetime` where it is annotated so.
        end_date: The last day of the window, alike.
        node_name: For messages.
        signature: What the function takes, where that is known already.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        input_dfs: Sequence[Any],
        start_date: str | None,
        end_date: str | None,
        node_name: str,
        *,
        signature: Signature | None = None,
    ) -> None:
        self.function = function
        self.input_dfs = tuple(input_dfs)
        self.start_date = start_date
        self.end_date = end_date
        self.node_name = node_name
        self.signature = signature or Signature.of(function)

    def keywords(self) -> dict[str, Any]:
        """What the function gets by keyword."""
        return self.signature.given_dates(self.start_date, self.end_date)

    def execute(self) -> Any:
        """Call the function."""
        return self.function(*self.input_dfs, **self.keywords())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.node_name}: {len(self.input_dfs)} inputs>"


class MLNodeCommand(NodeCommand):
    """A `NodeCommand` that also tells the function what machine learning wants to know, if it takes ``ml_context``.

    Args:
        function: As `NodeCommand`.
        input_dfs: As `NodeCommand`.
        start_date: As `NodeCommand`.
        end_date: As `NodeCommand`.
        node_name: As `NodeCommand`.
        model_version: The version of the model.
        hyperparams: Those that the caller says. They win over those of the node, which win over the pipeline's.
        node_config: The settings of the node; its `hyperparams` and `metrics` count.
        pipeline_config: The settings of the pipeline; its `hyperparams` count.
        session: Anything: it is handed through. Where it has ``conf.set``, each hyperparameter is set there, as text,
            under ``pipe.ml.<name>``.
        signature: As `NodeCommand`.

    Attributes:
        hyperparams: The merged ones.
        execution_metadata: What is known of the last execution: `node_name`, `model_version`, `start_time` and
            `end_time` (ISO 8601, UTC), `duration_seconds`, `hyperparams`, `metrics`, `status` (``running``,
            ``success``, ``failed``) and `error`. The function sees it in its context, and may add to it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        input_dfs: Sequence[Any],
        start_date: str | None,
        end_date: str | None,
        node_name: str,
        model_version: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        node_config: Mapping[str, Any] | None = None,
        pipeline_config: Mapping[str, Any] | None = None,
        session: Any = None,
        *,
        signature: Signature | None = None,
    ) -> None:
        super().__init__(function, input_dfs, start_date, end_date, node_name, signature=signature)
        self.model_version = model_version
        self.node_config = dict(node_config or {})
        self.pipeline_config = dict(pipeline_config or {})
        self.session = session
        self.hyperparams = merge_hyperparams(
            pipeline=self.pipeline_config.get("hyperparams"),
            node=self.node_config.get("hyperparams"),
            explicit=hyperparams,
        ).values
        self.execution_metadata: dict[str, Any] = {}

    def keywords(self) -> dict[str, Any]:
        """What the function gets by keyword."""
        found = super().keywords()
        if self.signature.ml_context:
            found[ML_CONTEXT] = {
                "model_version": self.model_version,
                "hyperparams": dict(self.hyperparams),
                "node_config": self.node_config,
                "pipeline_config": self.pipeline_config,
                "execution_metadata": self.execution_metadata,
                "session": self.session,
            }
        return found

    def execute(self) -> Any:
        """Call the function, and write down when and how it ended."""
        began = self._begin()
        try:
            self._configure()
            result = super().execute()
        except BaseException as error:
            self._end(began, error)
            raise
        if inspect.iscoroutine(result):
            return self._awaited(result, began)
        self._end(began)
        return result

    async def _awaited(self, result: Any, began: float) -> Any:
        try:
            found = await result
        except BaseException as error:
            self._end(began, error)
            raise
        self._end(began)
        return found

    def _begin(self) -> float:
        self.execution_metadata = {
            "node_name": self.node_name,
            "model_version": self.model_version,
            "start_time": datetime.now(UTC).isoformat(),
            "end_time": None,
            "duration_seconds": None,
            "hyperparams": dict(self.hyperparams),
            "metrics": self.node_config.get("metrics") or {},
            "status": "running",
            "error": None,
        }
        return perf_counter()

    def _configure(self) -> None:
        if (setter := getattr(getattr(self.session, "conf", None), "set", None)) is not None:
            for name, value in self.hyperparams.items():
                setter(f"pipe.ml.{name}", str(value))

    def _end(self, began: float, error: BaseException | None = None) -> None:
        self.execution_metadata.update(
            end_time=datetime.now(UTC).isoformat(),
            duration_seconds=perf_counter() - began,
            status="success" if error is None else "failed",
            error=None if error is None else f"{type(error).__name__}: {error}",
        )
