"""Exit codes of the command `pipe` and of pipelines as commands, for people who write scripts.

| code | meaning |
|---|---|
| 0 | fine |
| 1 | the run ended well, and some records failed; `pipe plugins check`: a plugin failed |
| 2 | usage: a wrong switch, a name typed that nothing has, a source that is not there, a target that exists already |
| 3 | configuration: a broken file, schema, setting or plugin; `pipe doctor`: it found a problem |
| 4 | the run failed: the source cannot be read, the target cannot be written, too many records failed, a bug |
| 130 | stopped by Ctrl-C (SIGINT); targets are as they were |
| 141 | whoever read standard output has gone (SIGPIPE) |
| 143 | stopped by SIGTERM; targets are as they were |
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
RECORDS_FAILED: Final = 1
USAGE: Final = 2
CONFIGURATION: Final = 3
RUN_FAILED: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
TERMINATED: Final = 143
