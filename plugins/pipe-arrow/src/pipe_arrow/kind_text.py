"""Types of columns as text, for what is written down of a run that somebody may go on with."""

from __future__ import annotations

import base64
import binascii

import pyarrow as pa


def text_of(kind: pa.DataType) -> str:
    """The struct *kind* as text."""
    return base64.b64encode(pa.schema(list(kind)).serialize().to_pybytes()).decode()


def kind_of(text: str) -> pa.DataType:
    """The struct that `text_of` wrote down. Raises ValueError where it is none."""
    try:
        return pa.struct(list(pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))))
    except (binascii.Error, pa.ArrowException, OSError) as error:
        raise ValueError("these are no columns") from error
