"""Which sink a path means: a file, a file that is joined from pieces, or a folder of part files."""

from __future__ import annotations

import os
from typing import Any

from pipe_core.formats.joined_sink import JoinedSink
from pipe_core.formats.options import Via
from pipe_core.formats.part_encoder import PartFormat
from pipe_core.formats.part_sink import PartSink
from pipe_core.formats.paths import path_of
from pipe_core.kernel.contracts import Sink
from pipe_core.kernel.errors import SinkError
from pipe_core.kernel.urls import redacted, scheme_of


def sink_of(target: Any, kind: PartFormat, via: Via | None) -> Sink:
    """The sink of a format into *target*. One that ends in ``/``, or is a folder, is a folder of part files.

    Args:
        target: A path, a URL, or ``-``.
        kind: The format.
        via: How rows come from workers. Not given: into a folder as files, else through the system.

    Raises:
        SinkError: The URL of a folder.
        OptionsError: *via* cannot be had there.
    """
    path = path_of(target)
    if scheme_of(path) is None and (path.endswith(("/", os.sep)) or os.path.isdir(path)):
        return PartSink(path, kind, by_workers=via != "system")
    if scheme_of(path) is not None and path.endswith("/"):
        text = f"{redacted(path)!r} ends in '/'. Folders of part files are written to paths only: name a file."
        raise SinkError(text, sink=redacted(path))
    return JoinedSink(path, kind) if via == "files" else kind.sink(path)
