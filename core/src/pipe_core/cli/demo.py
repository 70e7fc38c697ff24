"""``pipe demo``: sample data, a schema and a pipe's file to try things on, and a first run over them."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import click

from pipe_core.cli.errors import Mistake

ORDERS: Final = 3000
_OUTPUTS: Final = ("valid.jsonl", "rejected.jsonl", "report.html")

SCHEMA: Final = '''"""What an order must be."""

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field


class Order(BaseModel):
    order_id: int = Field(gt=0)
    customer: str = Field(min_length=1)
    email: str = Field(pattern=r"^[^@ ]+@[^@ ]+[.][a-z]+$")
    ordered_on: date
    quantity: int = Field(ge=1, le=100)
    price: Decimal = Field(ge=0, decimal_places=2)
    currency: Literal["EUR", "USD", "GBP"]


def tidy(entry, store):
    """A hook: runs before the schema, on what was read."""
    entry["raw_data"]["customer"] = entry["raw_data"]["customer"].strip().title()
'''

PIPE: Final = """# Run it with: pipe run pipe.yaml --mode overwrite
pipe:
  source: orders.csv
  schema: orders.py:Order
  pre_validation_hooks: [orders.py:tidy]
  sink: valid.jsonl
  errors: rejected.jsonl
"""

_DAMAGE: Final[tuple[tuple[str, str], ...]] = (
    ("email", "not an address"),
    ("quantity", "0"),
    ("quantity", "many"),
    ("ordered_on", "2026-02-30"),
    ("price", "12,50"),
    ("currency", "XXX"),
    ("customer", " "),
)


@click.command()
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--no-progress", is_flag=True, help="Show no progress on standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from.")
def demo(folder: str | None, no_progress: bool, as_json: bool) -> int:
    """Make sample data in DIR (default: a new temporary folder), run a pipe over it and show the result."""
    from pipe_core.cli.running import execute, observers
    from pipe_core.project.pipe_file import load_pipe_file

    place = make_samples(folder)
    say: Callable[[str], None] = (lambda text: None) if as_json else click.echo
    say(f"{ORDERS:,} orders, one in fifty of them bad, are in {place}.\n")
    pipe = load_pipe_file(place / "pipe.yaml").pipe(observers=observers(progress=not (no_progress or as_json)))
    execute(pipe, as_json=as_json, report=str(place / "report.html"))
    say(_next_steps(place))
    return 0  # that records failed is the point of the demo


def make_samples(folder: str | None) -> Path:
    """Write orders.csv, orders.py and pipe.yaml into *folder*.

    Raises:
        Mistake: The folder cannot be used; nothing that was there is ever overwritten.
    """
    place = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="pipe-demo-"))
    samples = {"orders.csv": "\n".join(_lines()) + "\n", "orders.py": SCHEMA, "pipe.yaml": PIPE}
    try:
        place.mkdir(parents=True, exist_ok=True)
        taken = [name for name in (*samples, *_OUTPUTS) if (place / name).exists()]
        if taken:
            raise Mistake(f"{place / taken[0]} exists already. Give an empty or a new folder: pipe demo another-folder")
        for name, text in samples.items():
            (place / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"The folder '{place}' cannot be used: {error.strerror}. Give another one.") from error
    return place


def _lines() -> Iterator[str]:
    """The same orders every time."""
    chance = random.Random(2)  # sample data, nothing secret
    yield "order_id,customer,email,ordered_on,quantity,price,currency"
    for number in range(1, ORDERS + 1):
        order = _order(chance, number)
        if number % 50 == 0:
            field, value = _DAMAGE[number // 50 % len(_DAMAGE)]
            order[field] = f'"{value}"'
        yield ",".join(map(str, order.values()))


def _order(chance: random.Random, number: int) -> dict[str, Any]:
    customer = chance.choice(("ada", "grace", "alan", "edsger", "barbara", "donald"))
    return {
        "order_id": number,
        "customer": customer,
        "email": f"{customer}{number}@example.org",
        "ordered_on": date(2026, 1, 1) + timedelta(days=chance.randrange(200)),
        "quantity": chance.randint(1, 9),
        "price": f"{chance.randint(100, 99999) / 100:.2f}",
        "currency": chance.choice(("EUR", "USD", "GBP")),
    }


def _next_steps(place: Path) -> str:
    return f"""
What to try next:
  cd {place}
  head -3 rejected.jsonl                     what was rejected, and why
  pipe run pipe.yaml --mode overwrite        the same run again
  pipe validate orders.csv --schema orders.py:Order --to - | head -3
  pipe plugins list                          what is installed
Open report.html in a browser, and change orders.py to see what happens."""
