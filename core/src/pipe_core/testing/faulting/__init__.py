"""What `pipe_core.testing.faults` is made of: an oracle, programs that are killed, faults, and gates."""
