"""The tests of `FormatConformance`: what a format reads, what it writes, and how a later process goes on."""
