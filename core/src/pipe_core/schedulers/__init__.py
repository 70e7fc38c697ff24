"""The scheduler that comes with core: ``fifo``."""
