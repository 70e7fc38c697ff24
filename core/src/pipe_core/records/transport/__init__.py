"""Transport: how chunks go to worker processes and results come back, as frames of the run's codec."""
