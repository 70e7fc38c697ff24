"""A contract: a schema, and what happens to records that are not as it says."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pipe_core.project.catalog.values import grouped, is_records, is_table, table_of
from pipe_core.project.config.models import Policy
from pipe_core.project.contracts.errors import ContractError, Misfit, shown
from pipe_core.project.contracts.rows import UNKNOWN, Rows
from pipe_core.project.contracts.shape import shape_of
from pipe_core.project.contracts.tables import Tables
from pipe_core.project.contracts.tally import ContractNote, Tally


@dataclass(frozen=True, slots=True)
class Contract:
    """What records must be like.

    Attributes:
        schema: A pydantic model, a dataclass, a `TypedDict` or a schema of Arrow.
        policy: ``freeze``: one that does not fit is an error. ``evolve``: fields that the schema does not know pass,
            and are noted; the others must fit. ``discard_row``: what does not fit is left out. ``discard_value``:
            values that do not fit are replaced by the field's default or None, and fields that the schema does not
            know are left out.
        side: ``input`` or ``output`` of a node; ``load`` or ``save`` of a data set.
        name: Of the input, the output or the data set.
        title: What messages call it.
        node: The node that it is of; empty for a data set.
        typed: Whether dictionaries become instances of the schema.
    """

    schema: Any
    policy: Policy
    side: str
    name: str
    title: str
    node: str = ""
    typed: bool = False

    def applied(self, value: Any, *, lazily: bool = False) -> Applied:
        """What of *value* comes through.

        Records keep their kind: dictionaries, instances and tables stay what they are, with values as the schema has
        them. Of records in an iterator a list is made.

        Args:
            value: Records: any iterable of them, one alone, or a table that hands itself over as Arrow data.
            lazily: Of an iterator an iterator is made, which holds records against the contract as they are taken.

        Raises:
            ContractError: A record does not fit, and the policy does not say to discard it; or *value* is no records.
        """
        tally = Tally()
        if lazily and isinstance(value, Iterator):
            return Applied(self._one_by_one(value, tally), self, tally)
        made = self._table(value, tally) if is_table(value) else self._records(value, tally)
        if tally.refused:
            raise self._refused(tally)
        return Applied(made, self, tally)

    def _one_by_one(self, value: Iterator[Any], tally: Tally) -> Iterator[Any]:
        rows = Rows(shape_of(self.schema), self.policy, self.typed)
        for group in grouped(value):
            records = rows.check(group, tally).records
            if tally.refused:
                raise self._refused(tally)
            yield from records

    def _table(self, value: Any, tally: Tally) -> Any:
        table = table_of(value)
        made = Tables(shape_of(self.schema), self.policy).check(table, tally)
        return value if made is table else _like(value, made)

    def _records(self, value: Any, tally: Tally) -> Any:
        rows = Rows(shape_of(self.schema), self.policy, self.typed)
        if is_records(value):
            records = rows.check(value, tally).records
            return tuple(records) if isinstance(value, tuple) else records
        if not isinstance(value, Mapping | BaseModel) and not rows.shape.is_one(value):
            kind = type(value).__name__
            raise ContractError(
                f"{self.title}: a contract is about records, and this is {shown(value)} of type {kind}. Take the "
                f"contract away, or give a list of records or a table.",
                title=self.title,
                node=self.node,
                value=value,
            )
        records = rows.check([value], tally).records
        if not records and tally.first_discarded is not None:  # there is nothing to give in its place
            tally.refuse(*tally.first_discarded)
        return records[0] if records else None

    def _refused(self, tally: Tally) -> ContractError:
        assert tally.first_refused is not None  # one was refused
        position, misfits = tally.first_refused
        first, *others = misfits
        also = f" (and {len(others)} more)" if others else ""
        further = tally.refused - 1
        more = f" {further:,} more of the {tally.records:,} records do not fit." if further else ""
        return ContractError(
            f"{self.title}: the record at position {position:,} is not as {shape_of(self.schema).name} says: "
            f"{first}{also}.{more} {self._advice(first)}",
            title=self.title,
            node=self.node,
            position=position,
            field=first.field,
            value=first.value,
            reasons=[str(one) for one in misfits],
            further=further,
        )

    def _advice(self, misfit: Misfit) -> str:
        if misfit.reason == UNKNOWN:
            return "Add the field to the schema, or let new fields pass: policy: evolve."
        if self.policy == "discard_value":
            return "No single value is to blame. Correct the data, or leave such records out: policy: discard_row."
        return "Correct the data, or leave such records out: policy: discard_row."


@dataclass(frozen=True, slots=True)
class Applied:
    """What came through a contract.

    Attributes:
        value: What it is now.
        contract: The contract.
        tally: What was found; of an iterator, so far.
    """

    value: Any
    contract: Contract
    tally: Tally

    @property
    def note(self) -> ContractNote | None:
        """What is to be told of it; None where nothing is."""
        return self.tally.note(self.contract.side, self.contract.name)


def _like(value: Any, table: Any) -> Any:
    """A table as the kind of frame that *value* is, where that is known."""
    home = type(value).__module__.partition(".")[0]
    if home == "pandas":
        return table.to_pandas()
    return importlib.import_module("polars").from_arrow(table) if home == "polars" else table
