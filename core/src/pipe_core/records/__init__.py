"""Records: stream records through hooks and a schema; good ones to a sink, bad ones with reasons to an error sink.

A record's way, one module a station: `places` (from a path to a source or sink), `feed` (pieces of the source),
`run` (the window), `worker` (hooks, validation), `rows` (what the sink wants), `commit` (order, sinks, counts),
`report`.
"""

from pipe_core.records.entry import Entry as Entry
from pipe_core.records.entry import EntryStatus as EntryStatus
from pipe_core.records.hooks import BaseHook as BaseHook
from pipe_core.records.hooks import HookPriority as HookPriority
from pipe_core.records.pipe import Pipe as Pipe
from pipe_core.records.report import FlowReport as FlowReport
from pipe_core.records.report import FlowStatus as FlowStatus
from pipe_core.records.store import HookStore as HookStore
