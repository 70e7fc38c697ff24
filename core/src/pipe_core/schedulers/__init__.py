"""The schedulers that come with core: ``fifo``, ``priority``, ``work_stealing``, ``round_robin`` and ``fair``."""
