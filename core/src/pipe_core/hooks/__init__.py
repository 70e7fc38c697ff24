"""The record hooks that come with core: ``timestamp``, ``field_mapper``, ``filter``, ``deduplicate``."""
