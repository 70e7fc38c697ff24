"""Results kept for later runs: what names them, and where they are."""
