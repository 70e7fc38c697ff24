"""Functions that depend on each other, run once or mapped over many items, on any executor."""
