"""Errors as bytes, under the names by which records know them."""

from pipe_core.runtime.wire import open_error as error_of

__all__ = ["error_of"]
