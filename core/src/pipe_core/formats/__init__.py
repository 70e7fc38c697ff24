"""The built-in formats: `csv`, `jsonl`, `json`, and `memory` for Python's own objects.

`plugin` describes them and imports none of them; the `…_format` modules each bring a source and a sink together.
Reading: `input_file` opens, `line_feed` cuts bytes into whole lines, `csv_rows` and `json_scan` find the records in
them, `json_values` and `record_maker` make them, and the `…_source` modules hand them out as splits (`byte_range`) and
chunks. Writing: `csv_encoder`, `jsonl_rows` and `json_sink` make rows on the workers, `file_sink` brings them to a
file that appears whole (`staged_file`) and is hidden until then (`hidden_file`), or that grows (`growing_file`);
`part_sink`, `part_folder` and `hidden_folder` to a folder of files. All of them have checkpoints, with which a later
process goes on. Formats of other packages write with `staged_file`, `staging` and `part_folder`, too.
"""
