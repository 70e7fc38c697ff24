"""Contracts: what a plugin of each family gives, as typed protocols; a module for each family.

Nothing here does anything, but for refusing what a backend does not offer. A plugin author reads one of these modules,
writes a class that fits, and certifies it with `pipe_core.testing`.
"""

from pipe_core.kernel.contracts.codecs import Codec as Codec
from pipe_core.kernel.contracts.executors import Backend as Backend
from pipe_core.kernel.contracts.executors import Call as Call
from pipe_core.kernel.contracts.executors import Done as Done
from pipe_core.kernel.contracts.executors import Outcome as Outcome
from pipe_core.kernel.contracts.executors import Take as Take
from pipe_core.kernel.contracts.formats import Batch as Batch
from pipe_core.kernel.contracts.formats import Chunk as Chunk
from pipe_core.kernel.contracts.formats import CountedSource as CountedSource
from pipe_core.kernel.contracts.formats import Encoder as Encoder
from pipe_core.kernel.contracts.formats import Extent as Extent
from pipe_core.kernel.contracts.formats import FingerprintedSource as FingerprintedSource
from pipe_core.kernel.contracts.formats import FollowableSource as FollowableSource
from pipe_core.kernel.contracts.formats import Followed as Followed
from pipe_core.kernel.contracts.formats import Format as Format
from pipe_core.kernel.contracts.formats import Mode as Mode
from pipe_core.kernel.contracts.formats import Payload as Payload
from pipe_core.kernel.contracts.formats import Readable as Readable
from pipe_core.kernel.contracts.formats import Rejection as Rejection
from pipe_core.kernel.contracts.formats import ResumableSink as ResumableSink
from pipe_core.kernel.contracts.formats import Row as Row
from pipe_core.kernel.contracts.formats import SeekableSource as SeekableSource
from pipe_core.kernel.contracts.formats import Serializer as Serializer
from pipe_core.kernel.contracts.formats import Sink as Sink
from pipe_core.kernel.contracts.formats import SizeNow as SizeNow
from pipe_core.kernel.contracts.formats import Source as Source
from pipe_core.kernel.contracts.formats import Split as Split
from pipe_core.kernel.contracts.formats import TabularSink as TabularSink
from pipe_core.kernel.contracts.formats import TabularSource as TabularSource
from pipe_core.kernel.contracts.formats import WindowSink as WindowSink
from pipe_core.kernel.contracts.formats import WindowSource as WindowSource
from pipe_core.kernel.contracts.hooks import RecordHook as RecordHook
from pipe_core.kernel.contracts.observers import Observer as Observer
from pipe_core.kernel.contracts.schedulers import Schedulable as Schedulable
from pipe_core.kernel.contracts.schedulers import Scheduler as Scheduler
