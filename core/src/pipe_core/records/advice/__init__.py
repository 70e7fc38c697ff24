"""Advice: where a run is best off, and ``executor="auto"``."""
