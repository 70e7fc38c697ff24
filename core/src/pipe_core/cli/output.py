"""What the commands write: tables, JSON, and nothing secret."""

from __future__ import annotations

import json
from typing import Any

import click

from pipe_core.looks.redaction import HIDDEN as HIDDEN
from pipe_core.looks.redaction import is_secret as is_secret
from pipe_core.looks.redaction import public as public
from pipe_core.looks.redaction import redact as redact
from pipe_core.looks.tables import table as table


def write_json(value: Any) -> None:
    """*value* as one JSON text on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
