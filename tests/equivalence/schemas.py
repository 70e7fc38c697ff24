"""Schemas of every kind. Workers cannot import this module: all of them travel by value."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict

T = TypeVar("T")


class Order(BaseModel):
    id: int
    name: str
    price: float


class OpenOrder(Order):
    model_config = ConfigDict(extra="allow")


@dataclass
class OrderData:
    id: int
    name: str
    price: float = 1.0


class OrderDict(TypedDict):
    id: int
    name: str
    price: float


class Row(RootModel[dict[str, int | str]]):
    """Any fields."""


class Box(BaseModel, Generic[T]):
    id: T
    price: T


class Aliased(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    number: int = Field(validation_alias="id", serialization_alias="no")
    label: str = Field(alias="name")
    cost: float = Field(validation_alias=AliasPath("price"))


class Computed(Order):
    _seen: int = PrivateAttr(default=3)

    @computed_field
    @property
    def double(self) -> float:
        return self.price * 2

    @field_serializer("name")
    def shout(self, value: str) -> str:
        return value.upper()


class Wrapped(Order):
    @model_serializer(mode="wrap")
    def wrap(self, inner: Any) -> dict[str, Any]:
        return {"order": inner(self)}


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    id: int
    name: str
    price: str = Field(pattern=r"^\d+\.50$")


class Deferred(BaseModel):
    model_config = ConfigDict(defer_build=True)
    id: int
    price: float
    next: Deferred | None = None


class Checked(Order):
    """Validators of every mode, one of which raises what pydantic does not expect."""

    @field_validator("id", mode="before")
    @classmethod
    def known(cls, value: Any) -> Any:
        if value == 7:
            return {}["seven"]
        if value == 8:
            raise SystemExit("eight")
        return value

    @field_validator("price", mode="wrap")
    @classmethod
    def lenient(cls, value: Any, handler: Any) -> Any:
        return -1.0 if value == "much" else handler(value)

    @model_validator(mode="after")
    def whole(self) -> Checked:
        if self.id == 9:
            raise ValueError("not nine")
        return self

    @model_validator(mode="before")
    @classmethod
    def renamed(cls, data: Any) -> Any:
        return {**data, "name": data["name"] + "!"}


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    legs: int


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"


class Everything(BaseModel):
    """A field of each type that JSON has a form for."""

    day: date
    moment: datetime
    hour: time
    span: timedelta
    amount: Decimal
    key: UUID
    color: Color
    pair: tuple[int, str]
    flags: frozenset[str]
    data: bytes
    big: int
    number: float
    nested: Order | None = None


def local_schema() -> type[BaseModel]:
    """A model defined in a function, with a validator that uses what is around it."""
    most = 40

    class Local(BaseModel):
        id: int
        price: float | None

        @field_validator("id")
        @classmethod
        def small(cls, value: int) -> int:
            if value > most:
                raise ValueError(f"more than {most}")
            return value

        @field_validator("price", mode="before")
        @classmethod
        def priced(cls, value: str) -> str | None:
            return None if value == "much" else value

    return Local


local_schema.makes_schema = True  # type: ignore[attr-defined]  # the case calls it
