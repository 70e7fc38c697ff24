"""Project files: from YAML to objects, with the place of every mistake.

`yaml_loader` reads a file into plain data and remembers lines, `modules` imports a file by its path,
`objects` finds what ``file.py:Object`` names in it, and
`pipe_file` makes the parameters of a `Pipe` of both. Files are hostile until they were checked: reading one runs
nothing, and it reaches only code and data in its own folder.
"""

from pipe_core.project.objects import ObjectNotFoundError as ObjectNotFoundError
from pipe_core.project.objects import load_hook as load_hook
from pipe_core.project.objects import load_schema as load_schema
from pipe_core.project.pipe_file import PipeFile as PipeFile
from pipe_core.project.pipe_file import load_pipe_file as load_pipe_file
from pipe_core.project.yaml_loader import Document as Document
from pipe_core.project.yaml_loader import load_yaml as load_yaml
