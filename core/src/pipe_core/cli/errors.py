"""From an exception to a line on standard error and an exit code: see `pipe_core.looks.mistakes`."""

from __future__ import annotations

from pipe_core.looks.mistakes import Mistake as Mistake
from pipe_core.looks.mistakes import exit_code as exit_code
from pipe_core.looks.mistakes import guarded as guarded
from pipe_core.looks.mistakes import is_broken_pipe as is_broken_pipe
from pipe_core.looks.mistakes import message as message
