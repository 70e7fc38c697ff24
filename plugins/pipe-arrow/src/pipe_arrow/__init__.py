"""Columnar files for pipe: the formats `parquet`, `orc`, `feather` and `avro`.

`plugin` describes them and imports none of them; `table_format` brings source and sink of a format together.
Reading: `parquet_file`, `orc_file` and `feather_file` open one file and give its row groups, `python_values` makes
records of them, `table_source` hands them out as splits and chunks (`pieces`); `avro_source` reads by itself. Writing:
`plain_values` and `fixed_types` check the rows on the workers, `table_encoder` makes Arrow data of them, by types that
`column_types` finds. On the driver `table_sink` takes it, `group_cutter` cuts it into row groups, `file_in_work` brings
these to files (`writers`, `silent_file`), which appear whole, alone or in a folder (`output`).
"""
