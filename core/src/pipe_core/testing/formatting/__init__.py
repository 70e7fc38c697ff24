"""The tests of `FormatConformance`: what a format reads, and what it writes."""
