"""The executor that comes with core: ``sync``."""
