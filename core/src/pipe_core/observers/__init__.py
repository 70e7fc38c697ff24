"""The observers that come with core: ``progress`` shows a run while it goes on, ``log`` writes it to `logging`.

`plugin` describes them and imports neither; `summary` says what both of them say.
"""
