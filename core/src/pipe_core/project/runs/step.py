"""One node of a run, as the function that the graph calls where the node runs: load, call, save."""

from __future__ import annotations

import asyncio
import inspect
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipe_core.project.catalog import Catalog
from pipe_core.project.commands import MLNodeCommand, NodeCommand
from pipe_core.project.config.imports import use
from pipe_core.project.contracts import NodeContracts
from pipe_core.project.errors import NodeResultError
from pipe_core.project.runs.keeping import gives_back, keep_result, kept_result
from pipe_core.runs.errors import ResumeError

if TYPE_CHECKING:
    from pipe_core.project.contracts import Applied, ContractNote
    from pipe_core.project.dates import DateWindow
    from pipe_core.project.ml_info import MLInfo
    from pipe_core.project.runs.folder import ProjectRunFolder
    from pipe_core.project.signature import Signature
    from pipe_core.project.wiring import Argument, WiredNode


class Handed:
    """What a node gave, on its way to those that take it. When the last of them is done it is let go.

    Args:
        result: The result.
        outputs: The result as one value for each output, where there are several.
        notes: What contracts have discarded, or let pass.
    """

    __slots__ = ("_outputs", "_result", "notes")

    def __init__(self, result: Any, outputs: Sequence[Any] | None = None, notes: tuple[ContractNote, ...] = ()) -> None:
        self._result = result
        self._outputs = outputs
        self.notes = notes

    def take(self, index: int | None = None) -> Any:
        """The result, or one output of several."""
        return self._result if index is None or self._outputs is None else self._outputs[index]

    @property
    def parts(self) -> tuple[Any, Any]:
        """What it was made of."""
        return self._result, self._outputs

    def let_go(self) -> None:
        """Nobody takes it any more."""
        self._result = self._outputs = None

    def __repr__(self) -> str:
        return reprlib.repr(self._result)


@dataclass(slots=True)
class Around:
    """What all nodes of a run share. Steps are compiled once, and look at the run that has them now.

    Attributes:
        catalog: The data sets.
        window: What the run is about; None where it has no dates.
        folder: Where receipts are kept; None where nothing is stored.
        pipeline: The settings of the pipeline, for what machine learning tells functions.
        handed_on: The nodes whose results others take.
        home: The project's folder, whose modules functions may import.
        ml: What machine learning tells those nodes that it tells something.
        session: Handed through to functions that take ``ml_context``.
    """

    catalog: Catalog
    window: DateWindow | None
    folder: ProjectRunFolder | None
    pipeline: Mapping[str, Any]
    handed_on: frozenset[str]
    home: Path
    ml: Mapping[str, MLInfo]
    session: Any = None

    @classmethod
    def nowhere(cls) -> Around:
        """Around steps that no run has."""
        return cls(Catalog({}), None, None, {}, frozenset(), Path(), {})

    def become(self, other: Around) -> None:
        """Be as *other* is."""
        for one in fields(self):
            setattr(self, one.name, getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class Stored:
    """Stands for a value that was an iterator, and is used up: whoever takes it loads it."""

    dataset: str


class NodeStep:
    """Runs one node. Called with what the nodes that it needs have given, in the order of `WiredNode.needs`.

    Args:
        node: The node.
        function: Its function.
        takes: What that takes.
        around: What all nodes of the run share.
    """

    __slots__ = ("_around", "_contracts", "_function", "_node", "_takes")

    def __init__(self, node: WiredNode, function: Callable[..., Any], takes: Signature, around: Around) -> None:
        self._node = node
        self._function = function
        self._takes = takes
        self._around = around
        self._contracts = NodeContracts.of(node)

    @property
    def __signature__(self) -> inspect.Signature:
        """A parameter for each node that it needs."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(output_of(name), kind) for name in self._node.needs])

    def __call__(self, *handed: Handed) -> Handed:
        """Run the node."""
        use(self._around.home)
        is_saved = self._settle()
        found: list[Applied] = []
        result = self._command(self._arguments(handed, found)).execute()
        return self._finish(result, is_saved, found)

    # --- in ---

    def _arguments(self, handed: Sequence[Handed], found: list[Applied]) -> list[Any]:
        given = dict(zip(self._node.needs, handed, strict=True))
        arguments = [self._argument(one, given, found) for one in self._node.arguments]
        return arguments if self._contracts is None else self._contracts.taken(arguments, found)

    def _argument(self, one: Argument, given: Mapping[str, Handed], found: list[Applied]) -> Any:
        if one.node is not None:
            return self._loaded(given[one.node].take(one.index), found)
        if one.kept is not None and self._around.folder is not None:
            try:
                return self._loaded(
                    Handed(*kept_result(self._around.folder, one.kept, self._around.catalog)).take(one.index), found
                )
            except LookupError:
                if one.dataset is None:
                    raise ResumeError(
                        f"The result of '{one.kept}', which node '{self._node.name}' takes, was kept and cannot be "
                        f"read any more. Run the pipeline again."
                    ) from None
        return self._loaded(Stored(one.dataset or ""), found)

    def _loaded(self, value: Any, found: list[Applied]) -> Any:
        """What was handed over, or is stored."""
        if type(value) is not Stored:
            return value
        return self._around.catalog.load(value.dataset, self._around.window, found=found)

    def _command(self, arguments: Sequence[Any]) -> NodeCommand:
        window = self._around.window
        start, end = (None, None) if window is None else (window.start, window.end)
        ml = self._around.ml.get(self._node.name)
        if ml is None:
            return NodeCommand(self._function, arguments, start, end, self._node.name, signature=self._takes)
        return MLNodeCommand(
            self._function,
            arguments,
            start,
            end,
            self._node.name,
            model_version=ml["model_version"],
            hyperparams=ml["hyperparams"],
            node_config=self._node.config.model_dump(exclude={"function"}),
            pipeline_config=self._around.pipeline,
            session=self._around.session,
            signature=self._takes,
        )

    # --- out ---

    def _settle(self) -> bool:
        """Bring to its end what an earlier attempt was saving when it failed. Whether there was something."""
        folder = self._around.folder
        if folder is None or not self._node.stored:
            return False
        kept = folder.receipt(self._node.name)
        for name, state in (kept or {}).items():
            self._around.catalog.settle(name, state)
        return kept is not None

    def _finish(self, result: Any, is_saved: bool, found: list[Applied]) -> Handed:
        if not self._node.outputs and self._contracts is None:  # there is nothing to split, to check and to save
            return Handed(list(result) if isinstance(result, Iterator) else result, None, _notes(found))
        given = self._split(result)
        outputs = self._accepted(given, found)
        if any(new is not old for new, old in zip(outputs, given, strict=True)):
            is_named = len(outputs) > 1 and isinstance(result, Mapping)
            result = dict(zip(self._node.outputs, outputs, strict=True)) if is_named else tuple(outputs)
        lasting = [self._lasting(name, value) for name, value in zip(self._node.outputs, outputs, strict=True)]
        if len(lasting) == 1:
            result = lasting[0]
        elif isinstance(result, Iterator):
            result = list(result)
        handed = Handed(result, lasting if len(lasting) > 1 else None)
        if not is_saved:
            pairs = zip(outputs, lasting, strict=True)
            self._save([old if type(new) is Stored else new for old, new in pairs], handed)
        handed.notes = _notes(found)
        return handed

    def _accepted(self, outputs: Sequence[Any], found: list[Applied]) -> Sequence[Any]:
        """The outputs as they come through the contracts of the node, and of the data sets that they are stored as."""
        if self._contracts is not None:
            outputs = self._contracts.given(outputs, found)
        catalog, stored = self._around.catalog, self._node.stored
        if not stored:
            return outputs
        pairs = zip(self._node.outputs, outputs, strict=True)
        return [catalog.accepted(name, one, found=found) if name in stored else one for name, one in pairs]

    def _lasting(self, name: str, value: Any) -> Any:
        """The value as others can take it: an iterator gives what it has only once."""
        if not isinstance(value, Iterator):
            return value
        return Stored(name) if name in self._node.stored else list(value)

    def _split(self, result: Any) -> Sequence[Any]:
        """The result, one value for each output."""
        names = self._node.outputs
        if not names:
            return ()
        values = [result] if len(names) == 1 else self._several(result)
        for name, value in zip(names, values, strict=True):
            if value is None:
                raise NodeResultError(
                    f"Node '{self._node.name}' gave None for its output '{name}'. Does its function lack a return? If "
                    f"there is nothing to save, take the output away.",
                    node=self._node.name,
                )
        return values

    def _several(self, result: Any) -> Sequence[Any]:
        names = self._node.outputs
        if isinstance(result, Mapping):
            if set(result) != set(names):
                raise self._misfit(f"a mapping with the keys {', '.join(map(str, result)) or 'none'}")
            return [result[name] for name in names]
        if not isinstance(result, tuple | list):
            raise self._misfit(f"a {type(result).__name__}")
        if len(result) != len(names):
            raise self._misfit(f"{len(result)} values")
        return result

    def _misfit(self, what: str) -> NodeResultError:
        names = self._node.outputs
        return NodeResultError(
            f"Node '{self._node.name}' has the {len(names)} outputs {', '.join(names)}, and its function gave {what}. "
            f"Return a tuple with a value for each, in this order, or a mapping of their names.",
            node=self._node.name,
        )

    def _save(self, outputs: Sequence[Any], handed: Handed) -> None:
        """Save the outputs that are in the catalog: all of them, or, where this raises, none.

        First everything is brought to stable storage, then a receipt is kept, then each output becomes visible. Whoever
        finds the receipt of a process that was killed knows how to go on.
        """
        if not self._node.stored:
            return
        catalog, folder = self._around.catalog, self._around.folder
        found = dict(zip(self._node.outputs, outputs, strict=True))
        staged: dict[str, Any] = {}
        try:
            for name in self._node.stored:
                staged[name] = catalog.stage(name, found[name], self._around.window)
            if folder is not None:
                self._keep(folder, found, handed)
                folder.write_receipt(self._node.name, {name: one.state for name, one in staged.items()})
        except BaseException:
            for one in staged.values():
                with suppress(Exception):  # the first error counts
                    one.abort()
            raise
        if folder is not None:  # who has taken up the run meanwhile has found the receipt, and brings it to its end
            folder.check_epoch(self._node.name)
        try:
            for one in staged.values():
                one.commit()
        except BaseException:
            for one in staged.values():
                one.close()  # what was kept says how another attempt goes on
            raise

    def _keep(self, folder: ProjectRunFolder, found: Mapping[str, Any], handed: Handed) -> None:
        """Keep the result for a run that is resumed, where what is stored does not give it back as it is."""
        if self._node.name not in self._around.handed_on:
            return
        stored, catalog = self._node.stored, self._around.catalog
        if not all(name in stored and gives_back(catalog, name, value) for name, value in found.items()):
            keep_result(folder, self._node.name, handed.parts, catalog)


class AsyncNodeStep(NodeStep):
    """Runs one node whose function is ``async def``. What it loads and saves keeps no event loop waiting."""

    __slots__ = ()

    async def __call__(self, *handed: Handed) -> Handed:  # type: ignore[override]  # the graph awaits it
        """Run the node."""
        use(self._around.home)
        is_saved = await asyncio.to_thread(self._settle)
        found: list[Applied] = []
        arguments = await asyncio.to_thread(self._arguments, handed, found)
        result = await self._command(arguments).execute()
        return await asyncio.to_thread(self._finish, result, is_saved, found)


def step_of(node: WiredNode, function: Callable[..., Any], takes: Signature, around: Around) -> NodeStep:
    """The step of a node, as its function is."""
    return (AsyncNodeStep if takes.is_async else NodeStep)(node, function, takes, around)


def _notes(found: Sequence[Applied]) -> tuple[ContractNote, ...]:
    """What is said of contracts that were applied, of those that have something to say."""
    return tuple([note for one in found if (note := one.note) is not None])


def output_of(name: str) -> str:
    """What the graph calls the output of the node *name*: a name by which a parameter can take it."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}_" for letter in name)
    return f"of_{plain}"
