"""The catalog: data sets by name, of any format that is installed.

`catalog` is the front. A `dataset` knows where one is and of what format; `loading` reads it into what somebody asked
for, `saving` writes a value so that nothing is visible before a `Staged` is committed. `values` tells what a value
consists of, `writing` brings it to a sink, `raw_files` holds those that are no records, `rows` checks records against a
schema, `windows` tells which belong to a window, `partitions` which to a folder.
"""

from pipe_core.project.catalog.catalog import Catalog as Catalog
from pipe_core.project.catalog.errors import DatasetError as DatasetError
from pipe_core.project.catalog.errors import DatasetNotFoundError as DatasetNotFoundError
from pipe_core.project.catalog.errors import DatasetRecordError as DatasetRecordError
from pipe_core.project.catalog.errors import UnknownDatasetError as UnknownDatasetError
from pipe_core.project.catalog.staged import Staged as Staged
