"""What a node of machine learning is told beside its data: the version of the model, and the hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.hyperparams import merge_hyperparams

if TYPE_CHECKING:
    from pipe_core.project.model_registry import ModelRegistry

LATEST = "latest"
"""As a version: the one that the registry was given last."""


class MLInfo(TypedDict):
    """What `prepare_ml_info` gives."""

    model_version: str | None
    hyperparams: dict[str, Any]
    pipeline_config: dict[str, Any]
    project_name: str


def prepare_ml_info(
    *,
    project_name: str = "",
    pipeline: Mapping[str, Any] | None = None,
    node: Mapping[str, Any] | None = None,
    model_version: str | None = None,
    default_model_version: str | None = None,
    hyperparams: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    registry: ModelRegistry | None = None,
) -> MLInfo:
    """The version and the hyperparameters that hold for a pipeline, or for one node of it.

    Args:
        project_name: As the project calls itself.
        pipeline: The settings of the pipeline: `hyperparams`, `model_version` and `model_name` are looked at.
        node: The settings of the node, the same keys. None for the pipeline as a whole.
        model_version: What the caller or the command line said. It wins.
        default_model_version: What holds where neither they nor the node nor the pipeline said one.
        hyperparams: What the caller or the command line said. They win.
        defaults: Hyperparameters of the project.
        registry: Where the version ``"latest"`` is looked up, by the node's or the pipeline's `model_name`.

    Returns:
        A dictionary with `model_version` (None where nobody said one), `hyperparams`, `pipeline_config` and
        `project_name`.

    Raises:
        OptionsError: Hyperparameters are no mapping; or the version is ``"latest"`` without a registry or a name.
        ModelNotFoundError: The version is ``"latest"`` and the registry has none of that name.
    """
    pipeline, node = pipeline or {}, node or {}
    merged = merge_hyperparams(
        defaults=defaults, pipeline=pipeline.get("hyperparams"), node=node.get("hyperparams"), explicit=hyperparams
    )
    said = (model_version, node.get("model_version"), pipeline.get("model_version"), default_model_version)
    version = next((one for one in said if one is not None), None)
    if version == LATEST:
        version = _latest(registry, node.get("model_name") or pipeline.get("model_name"))
    return {
        "model_version": None if version is None else str(version),
        "hyperparams": merged.values,
        "pipeline_config": dict(pipeline),
        "project_name": project_name,
    }


def _latest(registry: ModelRegistry | None, name: str | None) -> str:
    if registry is None or not name:
        missing = "no 'model_name' says of which model" if registry is not None else "there is no registry of models"
        raise OptionsError(f"The model version is 'latest', but {missing}. Name a version, or give what is missing.")
    return registry.latest(name).version
