"""Exit codes of the command `pipe` and of pipelines as commands, for people who write scripts.

| code | meaning |
|---|---|
| 0 | fine |
| 1 | the run ended well, and some records failed; `pipe plugins check`: a plugin failed |
| 2 | usage: a wrong switch or date, a name that nothing has, a source that is not there, a target that exists already |
| 3 | configuration: a broken file, schema, setting or plugin; `pipe doctor`, `pipe check`: it found a problem |
| 4 | the run failed: a source cannot be read, a target cannot be written, too many records or a node failed, a bug |
| 130 | stopped by Ctrl-C (SIGINT); targets are as they were; a project, and a run with `--checkpoint`, can be resumed |
| 141 | whoever read standard output has gone (SIGPIPE) |
| 143 | stopped by SIGTERM; otherwise as 130 |
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
