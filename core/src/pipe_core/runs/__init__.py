"""What is kept of runs on disk: a folder each, a journal, and who drives it."""
