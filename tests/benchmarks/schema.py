"""The schema of orders, which every contender imports."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field


class Order(BaseModel):
    """What an order must be."""

    order_id: int
    customer: str
    email: str = Field(pattern=r"^[^@ ]+@[^@ ]+[.][a-z]+$")
    age: int = Field(ge=0, le=150)
    amount: float = Field(ge=0)
    ordered_on: date
    status: Literal["new", "paid", "shipped", "returned"]
    gift: bool
