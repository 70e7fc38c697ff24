from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipe_core.kernel.errors import OptionsError
from pipe_core.project.ml_info import prepare_ml_info
from pipe_core.project.model_registry import (
    FileModelRegistry,
    ModelExistsError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryError,
)


@pytest.fixture
def registry(tmp_path: Path) -> FileModelRegistry:
    return FileModelRegistry(tmp_path / "models")


def test_what_was_registered_is_found_again(registry: FileModelRegistry) -> None:
    contract: ModelRegistry = registry
    assert contract.names() == []
    assert contract.versions("trees") == []

    contract.register("trees", "1.0", b"one", {"auc": 0.9})
    second = contract.register("trees", "0.9-fix", b"two")
    contract.register("lines", "1.0", b"three")

    elsewhere = FileModelRegistry(registry.folder)
    assert elsewhere.names() == ["lines", "trees"]
    assert [record.version for record in elsewhere.versions("trees")] == ["1.0", "0.9-fix"]
    assert elsewhere.latest("trees") == elsewhere.get("trees") == second
    assert elsewhere.get("trees", "1.0").metadata == {"auc": 0.9}
    assert elsewhere.artifact("trees", "1.0") == b"one"
    assert elsewhere.artifact("trees") == b"two"


def test_a_version_never_changes(registry: FileModelRegistry) -> None:
    registry.register("trees", "1", b"one")

    with pytest.raises(ModelExistsError, match="has a version '1' already"):
        registry.register("trees", "1", b"two")
    assert registry.artifact("trees") == b"one"


def test_of_many_that_register_one_version_at_once_one_does(registry: FileModelRegistry) -> None:
    def register(i: int) -> bytes | None:
        data = bytes([i]) * 10_000
        try:
            registry.register("trees", "1", data)
        except ModelExistsError:
            return None
        return data

    with ThreadPoolExecutor(8) as pool:
        won = [data for data in pool.map(register, range(8)) if data is not None]

    assert won == [registry.artifact("trees", "1")]
    assert os.listdir(registry.folder / "trees") == ["1"], "the others left nothing"


@pytest.mark.parametrize("broken", ["sync", "rename", "write"])
def test_a_version_that_cannot_be_written_whole_is_not_there(
    registry: FileModelRegistry, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*args: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device")

    place = {"sync": "os.fsync", "rename": "pathlib.Path.rename", "write": "pathlib.Path.open"}[broken]
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(ModelRegistryError, match="No space left"):
            registry.register("trees", "1", b"one")

    assert registry.versions("trees") == []
    registry.register("trees", "1", b"one")


def test_what_a_killed_process_left_is_no_model(registry: FileModelRegistry) -> None:
    registry.register("trees", "1", b"one")
    staged = registry.folder / "trees" / ".staged-0123"
    staged.mkdir()
    (staged / "model.json").write_text("{")

    assert [record.version for record in registry.versions("trees")] == ["1"]


def test_damage_is_noticed(registry: FileModelRegistry) -> None:
    registry.register("trees", "1", b"one")
    place = registry.folder / "trees" / "1"

    (place / "artifact.bin").write_bytes(b"onf")
    with pytest.raises(ModelRegistryError, match="not what was registered"):
        registry.artifact("trees")
    (place / "model.json").write_text("{")
    with pytest.raises(ModelRegistryError, match=r"model\.json is damaged"):
        registry.get("trees", "1")


def test_what_is_not_there_is_told_with_what_is(registry: FileModelRegistry) -> None:
    with pytest.raises(ModelNotFoundError, match="has none at all"):
        registry.get("trees")
    registry.register("trees", "1.0", b"")

    with pytest.raises(ModelNotFoundError, match=r"no version '1\.1'. It has: 1\.0"):
        registry.get("trees", "1.1")
    with pytest.raises(ModelNotFoundError, match="Did you mean 'trees'"):
        registry.artifact("treees")


@pytest.mark.parametrize(
    ("name", "version"), [("../x", "1"), ("a", "../../x"), ("", "1"), ("a", ".staged-1"), ("a/b", "1"), ("a", 1)]
)
def test_names_cannot_leave_the_folder(registry: FileModelRegistry, name: Any, version: Any) -> None:
    with pytest.raises(OptionsError, match="of a model"):
        registry.register(name, version, b"")


def test_metadata_must_be_plain(registry: FileModelRegistry) -> None:
    for wrong in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(OptionsError, match="cannot be kept as JSON"):
            registry.register("trees", "1", b"", wrong)
    assert registry.names() == []


# --- what a node is told ---

PIPELINE = {"hyperparams": {"depth": 6, "rate": 0.1}, "model_version": "2.0", "model_name": "trees", "metrics": ["auc"]}


def test_ml_info_has_the_version_the_merged_hyperparameters_and_the_pipeline() -> None:
    info = prepare_ml_info(
        project_name="shop",
        pipeline=PIPELINE,
        node={"hyperparams": {"depth": 7}},
        hyperparams={"rate": 0.5},
        defaults={"seed": 0, "rate": 1.0},
    )

    assert info == {
        "model_version": "2.0",
        "hyperparams": {"seed": 0, "rate": 0.5, "depth": 7},
        "pipeline_config": PIPELINE,
        "project_name": "shop",
    }
    assert info["pipeline_config"] is not PIPELINE


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ({}, None),
        ({"default_model_version": "0.1"}, "0.1"),
        ({"default_model_version": "0.1", "pipeline": PIPELINE}, "2.0"),
        ({"pipeline": PIPELINE, "node": {"model_version": "3.0"}}, "3.0"),
        ({"pipeline": PIPELINE, "node": {"model_version": "3.0"}, "model_version": "4.0"}, "4.0"),
    ],
)
def test_the_version_is_what_the_nearest_one_says(said: Any, version: str | None) -> None:
    assert prepare_ml_info(**said)["model_version"] == version


def test_the_latest_version_is_looked_up(registry: FileModelRegistry) -> None:
    registry.register("trees", "1.0", b"")
    registry.register("trees", "1.1", b"")

    info = prepare_ml_info(pipeline=PIPELINE, model_version="latest", registry=registry)

    assert info["model_version"] == "1.1"
    with pytest.raises(OptionsError, match="there is no registry"):
        prepare_ml_info(pipeline=PIPELINE, model_version="latest")
    with pytest.raises(OptionsError, match="no 'model_name'"):
        prepare_ml_info(model_version="latest", registry=registry)
    with pytest.raises(ModelNotFoundError):
        prepare_ml_info(node={"model_name": "lines"}, model_version="latest", registry=registry)
