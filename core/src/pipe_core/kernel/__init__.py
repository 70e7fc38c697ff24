"""The kernel: which plugins there are, what they offer, which one was asked for, and who listens."""
