"""Nodes that go through a source that does not end, in micro-batches.

A micro-batch is a range of the source, from one position to another. The range is written down before its records are
touched; its nodes run as a run of the graph; what they store is staged, noted and shown as in any run; then the
position is written down. Whoever takes the stream up after a kill reads the same range again, and saves only what is
not saved yet.
"""
