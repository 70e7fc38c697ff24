"""This project: ``peer_pipe.py SOURCE TARGET ERRORS [--hooks]``, as a person would write it."""

import sys
from typing import Any

from schema import Order

from pipe_core import Pipe


def strip_customer(entry: Any, store: Any) -> None:
    """A hook before validation."""
    entry["raw_data"]["customer"] = entry["raw_data"]["customer"].strip()


def round_amount(entry: Any, store: Any) -> None:
    """A hook after validation."""
    entry["validated_data"]["amount"] = round(entry["validated_data"]["amount"], 2)


if __name__ == "__main__":
    hooked = "--hooks" in sys.argv
    Pipe(
        sys.argv[1],
        sys.argv[2],
        schema=Order,
        errors=sys.argv[3],
        pre_validation_hooks=[strip_customer] if hooked else [],
        post_validation_hooks=[round_amount] if hooked else [],
        executor="sync",
        mode="overwrite",
    ).run()
