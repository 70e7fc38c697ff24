"""Going on with a run: what was asked for, what is done, and what is left, from its journal and its receipts."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipe_core.graph.caching.entries import DamagedEntryError, Entries, ForeignEntryError, UnwritableError
from pipe_core.kernel.errors import PipeError
from pipe_core.project.config.models import PipelineConfig
from pipe_core.project.contracts.description import described
from pipe_core.project.dates import DateWindow
from pipe_core.project.runs.keeping import is_json
from pipe_core.project.runs.overrides import as_kept
from pipe_core.project.runs.plan import Asked
from pipe_core.project.wiring import Choice
from pipe_core.runs.errors import ResumeError
from pipe_core.runs.journal import last_statuses

if TYPE_CHECKING:
    from pipe_core.project.catalog import Catalog
    from pipe_core.project.project import Project
    from pipe_core.project.runs.folder import ProjectRunFolder
    from pipe_core.project.wiring import WiredNode, Wiring

_MAKES_RESULTS: Final = (
    "function",
    "module",
    "input",
    "output",
    "dependencies",
    "hyperparams",
    "model_version",
    "contracts",
)
"""What of a node's settings its stored results depend on."""

_OF_HYPERPARAMS: Final = "hyperparams"


def asked_as_data(asked: Asked, project: Project) -> dict[str, Any]:
    """What was asked for, as the journal keeps it."""
    window = asked.window
    own = project.pipelines.get(asked.pipeline.name) == asked.pipeline
    return {
        "project": project.name,
        "env": project.env,
        "pipeline": asked.pipeline.name,
        "of_nodes": None if own else list(asked.pipeline.nodes),
        "choice": {key: list(getattr(asked.choice, key)) for key in Choice.__slots__},
        "start_date": None if window is None else window.start,
        "end_date": None if window is None else window.end,
        "model_version": asked.model_version,
        "hyperparams": dict(asked.hyperparams),
        **as_kept(project.overrides),
    }


def asked_of(events: Sequence[Mapping[str, Any]], project: Project, run: str) -> Asked:
    """What was asked for when the run began.

    Raises:
        ResumeError: Its journal does not say; or it was of another environment; or a hyperparameter cannot be read.
        UnknownNameError: The project has no such pipeline any more.
    """
    told = next((event for event in events if event.get("event") == "run"), None)
    if told is None:
        raise ResumeError(
            f"The journal of the run {run} says nothing of what was asked for: it was killed at once. Run it again."
        )
    if told["env"] != project.env:
        raise ResumeError(
            f"The run {run} is of the environment {told['env'] or 'of the files alone'}, and this is "
            f"{project.env or 'the files alone'}. Resume it with the same one."
        )
    nodes = told["of_nodes"]
    pipeline = PipelineConfig(name=told["pipeline"], nodes=nodes) if nodes else project.get_pipeline(told["pipeline"])
    return Asked(
        pipeline=pipeline,
        choice=Choice(**{key: tuple(names) for key, names in told["choice"].items()}),
        window=DateWindow.of(told["start_date"], told["end_date"]),
        model_version=told["model_version"],
        hyperparams={**told["hyperparams"], **_unfolded(told.get("exact", {}), run)},
    )


def exact_hyperparams(asked: Asked) -> dict[str, str]:
    """Those hyperparameters that JSON would not give back as they are, as text; an empty one where nothing can."""
    return {name: _folded(value) for name, value in asked.hyperparams.items() if not is_json(value)}


def _folded(value: Any) -> str:
    try:
        return b64encode(Entries().seal(_OF_HYPERPARAMS, value)).decode()
    except UnwritableError:
        return ""


def _unfolded(texts: Mapping[str, str], run: str) -> dict[str, Any]:
    found = {}
    for name, text in texts.items():
        try:
            found[name] = Entries().open(_OF_HYPERPARAMS, b64decode(text))
        except (DamagedEntryError, ForeignEntryError) as error:
            raise ResumeError(
                f"The run {run} was given the hyperparameter '{name}' by Python code, and its journal cannot give it "
                f"back: such a value can only be handed over in memory. Run the pipeline again."
            ) from error
    return found


def settled(
    events: Iterable[Mapping[str, Any]], folder: ProjectRunFolder, catalog: Catalog, wiring: Wiring
) -> list[str]:
    """The nodes that are done. Of those that were killed while they saved, the outputs are brought to their end first.

    Raises:
        ResumeError: What a node has staged is gone.
    """
    done = [name for name, event in last_statuses(events).items() if event["status"] == "completed"]
    for name, outputs in folder.receipts():
        if name in done or name not in wiring.nodes:
            continue
        for dataset, state in outputs.items():
            try:
                catalog.settle(dataset, state)
            except PipeError as error:
                raise ResumeError(
                    f"Node '{name}' had saved '{dataset}' when its run was killed, and it cannot be brought to its "
                    f"end: {error} Run the pipeline again."
                ) from error
        done.append(name)
    return [name for name in wiring.nodes if name in done]


def left_of(wiring: Wiring, done: Iterable[str], kept: Collection[str]) -> list[str]:
    """The nodes that run: those that are not done, and those that hand them results that nobody stored or *kept*."""
    finished = set(done)
    left = [name for name in wiring.nodes if name not in finished]
    for name in left:  # grows meanwhile
        for argument in wiring.nodes[name].arguments:
            giver = argument.node
            if giver is None or giver in left or giver in kept:
                continue
            if not _is_stored(wiring.nodes[giver], argument.index):
                left.append(giver)
    return [name for name in wiring.nodes if name in set(left)]


def _is_stored(node: WiredNode, index: int | None) -> bool:
    if index is None:
        return len(node.outputs) == 1 and node.outputs[0] in node.stored
    return node.outputs[index] in node.stored


def check_unchanged(events: Sequence[Mapping[str, Any]], wiring: Wiring, kept: Iterable[str]) -> None:
    """Refuse to go on with results that the project would make otherwise today.

    Raises:
        ResumeError: The settings of a node that is done, or of a data set that it stores, are not what they were.
    """
    known: dict[str, str] = {}
    for event in events:
        if event.get("event") == "run":
            known.update(event["stores"])
    for name in kept:
        if name in known and known[name] != digest_of(wiring.nodes[name], wiring):
            raise ResumeError(
                f"Node '{name}' was done when the run stopped, and its settings, or those of a data set that it "
                f"stores, have changed since: what is stored is not what it would make now. Undo the change, run the "
                f"pipeline again, or resume with force to go on with what is stored."
            )


def digest_of(node: WiredNode, wiring: Wiring) -> str:
    """What tells whether a node would make the same results, as far as settings say."""
    config = node.config
    said = {key: getattr(config, key) for key in _MAKES_RESULTS}
    datasets = {name: wiring.datasets[name] for name in node.stored}
    data = json.dumps([said, datasets], default=_as_data, sort_keys=True)
    return hashlib.blake2b(data.encode(), digest_size=12).hexdigest()


def _as_data(value: Any) -> Any:
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(exclude={"description"})
    if isinstance(value, Path):
        return str(value)
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    fields = described(value)
    return name if fields is None else [name, fields]
