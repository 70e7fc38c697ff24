"""Tables and queries of SQLite and PostgreSQL as sources and sinks of pipe.

The way through the package: `plugin` describes the format, `place` understands where a database is, `catalog` asks it
what a table has, `reading`, `source` and `split` read by ranges of a key, `encoder` makes rows on the workers, and
`sink` writes them in one transaction, through `sqlite_store` or `postgres_store`.
"""

from pipe_sql.errors import UnstorableError
from pipe_sql.options import SqlOptions

__all__ = ["SqlOptions", "UnstorableError"]
