"""``python -m pipe_core.cli`` is the command `pipe`."""

from __future__ import annotations

from pipe_core.cli import main

if __name__ == "__main__":
    main()
