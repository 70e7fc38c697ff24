"""Following: what has come to a data set since a position."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipe_core.kernel.contracts import Followed
from pipe_core.kernel.urls import scheme_of
from pipe_core.project.catalog.dataset import Dataset
from pipe_core.project.catalog.errors import DatasetValueError
from pipe_core.project.catalog.loading import opened
from pipe_core.project.catalog.rows import validated


def follow(dataset: Dataset, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None) -> Followed:
    """See `Catalog.follow`. Raises `PipeError`."""
    source = dataset.source()
    reads = getattr(source, "follow", None)
    if reads is None or dataset.is_raw:
        raise DatasetValueError(
            f"{dataset.title} is of the format {dataset.format}, which cannot be followed. Files of JSON lines and CSV "
            f"can, topics of Kafka, and tables of Delta Lake.",
            dataset=dataset.name,
        )
    with opened(source):
        found: Followed = reads(since, limit, until)
    schema = dataset.schema() if dataset.contract("load") is None else None  # whoever takes them applies it
    return found if schema is None else Followed(validated(dataset, schema, found.records, 0), found.position)


def may_come(dataset: Dataset) -> bool:
    """Whether its file, which is not there, can be waited for: the folder that it would be in is on this machine."""
    target = dataset.target
    return scheme_of(target) is None and os.path.isdir(os.path.dirname(target))
