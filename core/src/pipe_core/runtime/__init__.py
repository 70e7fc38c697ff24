"""The runtime: one executor over any backend, the ledger of tasks, the window, cancellation."""
