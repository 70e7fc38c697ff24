"""The executor ``hello``: calls in threads of the same process."""
