"""`FormatConformance`: what a file format must do, as tests that its author inherits.

Write a subclass in your tests and run pytest::

    from pipe_core.testing.formats import FormatConformance

    class TestMine(FormatConformance):
        format = "mine"
        suffix = ".mine"
"""

from __future__ import annotations

from pipe_core.testing.formatting.ground import PlainSerializer as PlainSerializer
from pipe_core.testing.formatting.reading import ReadingTests
from pipe_core.testing.formatting.resuming import ResumingTests
from pipe_core.testing.formatting.writing import WritingTests


class FormatConformance(ReadingTests, WritingTests, ResumingTests, kit=True):
    """Inherit, and name the format.

    Attributes:
        format: The name of its entry point.
        suffix: The suffix of the files in the tests.
        options: Options of the format.
        records: What is written and must come back equal. Text only, so that formats without types can take part.
        appends: Whether ``mode="append"`` works; if not it must be refused with `SinkError`.
    """
