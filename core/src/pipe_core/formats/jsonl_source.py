"""JSON lines as a source: splits for the workers or chunks of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pipe_core.formats import rejections
from pipe_core.formats.byte_range import ByteRange, ranges
from pipe_core.formats.encodings import UTF8
from pipe_core.formats.following import follow_file, not_followable
from pipe_core.formats.group import GROUP, Group, regrouped
from pipe_core.formats.input_file import InputFile, reading_errors
from pipe_core.formats.json_values import JsonLayout, LinesChunk, values_batch
from pipe_core.formats.line_feed import LineFeed, LongLine
from pipe_core.formats.options import JsonlOptions
from pipe_core.kernel.contracts import Batch, Extent, Followed, Rejection, SizeNow


class JsonlSplit(ByteRange[JsonLayout]):
    """The lines that begin in a byte range."""

    __slots__ = ()
    carriage: ClassVar[bool] = False

    def _batches(self, feed: LineFeed, size: int) -> Iterator[Batch]:
        for group in line_groups(feed, self.layout, size):
            yield values_batch(group, self.layout)


class JsonlSource:
    """The records of a file of JSON lines. Only a newline ends a line; blank lines are no records.

    Args:
        target: A path, a URL, or ``-`` for standard input.
        options: Its encoding and its limits.
    """

    travels: ClassVar[tuple[type, ...]] = (LinesChunk,)

    def __init__(self, target: Any, options: JsonlOptions) -> None:
        self._file = InputFile(target, options.encoding, options.storage_options)
        self._layout = JsonLayout(
            self._file.read_encoding, options.max_record_bytes, options.max_fields, options.max_depth
        )

    @property
    def name(self) -> str:
        """The path."""
        return self._file.name

    @property
    def live(self) -> bool:
        """Whether reading may block for long: standard input, pipes."""
        return self._file.live

    @property
    def fields(self) -> None:
        """None: there is no header."""
        return

    @property
    def size(self) -> int | None:
        """Bytes, for a file that can be read in splits."""
        return self._file.size if self._file.splittable else None

    def open(self) -> None:
        """Check that it can be read. Raises `SourceError`."""
        self._file.open()

    def splits(self, size: SizeNow) -> Iterator[JsonlSplit] | None:
        """Byte ranges of about ``size()`` bytes; None for what can only be read from the beginning."""
        return self._ranges(size) if self._file.splittable else None

    def splits_behind(self, extent: Extent, size: SizeNow) -> Iterator[JsonlSplit] | None:
        """See `SeekableSource`: from where *extent* ends on."""
        if not self._file.splittable or extent.of != self._file.path:
            return None
        return self._ranges(size, extent.end)

    def fingerprint(self) -> Mapping[str, Any]:
        """See `FingerprintedSource`: size, time and a hash of the first 64 KiB."""
        return self._file.fingerprint()

    def chunks(self, size: SizeNow) -> Iterator[LinesChunk]:
        """Chunks of ``size()`` lines. A live source gives what has arrived."""
        count = 0
        with reading_errors(self.name, lambda: count):
            groups = line_groups(self._file.feed(self._layout.longest, carriage=False), self._layout, GROUP)
            for group in regrouped(groups, size, patient=not self.live):
                count += len(group.items)
                yield LinesChunk(group.items, self._layout, dict(group.rejected))

    def follow(self, since: Mapping[str, Any] | None, limit: int, until: Mapping[str, Any] | None = None) -> Followed:
        """See `FollowableSource`. Lines that have no end yet are still being written.

        Raises:
            SourceError: Only the end of a plain file on this machine can be awaited; or as `follow_file`.
        """
        if not self._file.splittable or self._file.remote is not None:
            raise not_followable(self.name)
        return follow_file(
            self.name, self._file.path, self._file.text_begin(), self._between, None, since, limit, until
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _between(self, begin: int, end: int) -> JsonlSplit:
        return JsonlSplit(self._file.path, begin, end, self._layout, exact=True)

    def _ranges(self, size: SizeNow, first: int | None = None) -> Iterator[JsonlSplit]:
        first = self._file.text_begin() if first is None else first
        for begin, end in ranges(first, self._file.size, size):
            exact, remote = begin == first, self._file.remote
            yield JsonlSplit(self._file.path, begin, end, self._layout, exact=exact, remote=remote)


def line_groups(feed: LineFeed, layout: JsonLayout, size: int) -> Iterator[Group[bytes]]:
    """The lines of a feed that are not blank, as UTF-8, in groups of at most *size*."""
    while True:
        try:
            block = feed.take()
        except LongLine as error:
            yield Group([b""], {0: rejections.record_too_large(error.length, layout.longest, error.head)})
            continue
        if not block:
            return
        yield from _lines(block, layout.encoding).pieces(size)


def _lines(block: bytes, encoding: str) -> Group[bytes]:
    """The lines of *block* that are not blank, as UTF-8."""
    rejected: dict[int, Rejection] = {}
    if encoding == UTF8:
        return Group(list(filter(bytes.strip, block.split(b"\n"))))
    try:
        return _lines(block.decode(encoding).encode(UTF8), UTF8)
    except UnicodeError:
        lines = list(filter(bytes.strip, block.split(b"\n")))
    for i, line in enumerate(lines):
        try:
            lines[i] = line.decode(encoding).encode(UTF8)
        except UnicodeError:
            # Two bytes that are no text here may be a character in UTF-8, so they must not get as far as the parser.
            lines[i], rejected[i] = b"", rejections.bad_encoding(encoding, rejections.shown(line))
    return Group(lines, rejected)
