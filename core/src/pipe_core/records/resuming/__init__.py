"""Checkpoints of a run, and going on at one in another process."""
