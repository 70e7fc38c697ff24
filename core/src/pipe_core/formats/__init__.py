"""The built-in formats: `csv`, `jsonl`, `json`, and `memory` for Python's own objects.

`plugin` describes them and imports none of them. `csv_format`, `jsonl_format`, `json_format` and `memory_format` each
bring a source and a sink together. Reading: `line_feed` cuts bytes into whole lines, `csv_rows` and `json_values` make
records of them, and the `…_source` and `…_split` modules hand those out as chunks and splits. Writing: the `…_rows`
encoders make bytes on the workers, `file_sink` and `staging` bring them to a file that appears whole.
"""
