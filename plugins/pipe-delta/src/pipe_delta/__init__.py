"""Tables of Delta Lake for pipe: the format `delta`.

`plugin` describes it; `delta_format` brings source and sink together, at a `place`. `table_files` says what is in a
table, and what of Delta this package leaves alone.

Reading: `source` hands out files as splits and chunks, which `reading` gives the columns of the table (`windows`);
`following` gives what comes to it while somebody reads.
Writing: `demands` finds out what the table asks for; `encoder` makes Arrow data on the workers, by `rules`. On the
driver `sink` takes it: `collecting` finds the types of the columns (`column_kinds`, `whole_tables`) while the records
wait on disk (`spill`) in a hidden folder (`staging`). At the end `data_files` writes them as Parquet by `partitions`,
`arrival` brings these to the table, and `transaction` makes them a part of it, with `statistics`; `replacing` takes a
window out of what was there.
"""
