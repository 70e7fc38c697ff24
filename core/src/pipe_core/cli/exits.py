"""Exit codes of the command `pipe`: see `pipe_core.looks.exits`, which a pipeline's own command line has as well."""

from __future__ import annotations

from pipe_core.looks.exits import CONFIGURATION as CONFIGURATION
from pipe_core.looks.exits import INTERRUPTED as INTERRUPTED
from pipe_core.looks.exits import OK as OK
from pipe_core.looks.exits import PIPE_CLOSED as PIPE_CLOSED
from pipe_core.looks.exits import RECORDS_FAILED as RECORDS_FAILED
from pipe_core.looks.exits import RUN_FAILED as RUN_FAILED
from pipe_core.looks.exits import TERMINATED as TERMINATED
from pipe_core.looks.exits import USAGE as USAGE
