"""The observers that come with core: ``progress`` and ``log``."""
