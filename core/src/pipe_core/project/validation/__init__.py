"""Validation: what is wrong with pipelines and projects, found before anything runs.

`required` raises for what a run must be asked for. `hybrid` reports on pipelines of batch nodes and streams, by a
`format_policy`; `nodes_read` reads configurations for it, and `conflicts` finds nodes in each other's way.
`validate_project` looks at a whole project and puts everything into one `report`.
"""

from pipe_core.project.validation.errors import MissingNodesError as MissingNodesError
from pipe_core.project.validation.errors import PipelineConfigError as PipelineConfigError
from pipe_core.project.validation.format_policy import FormatPolicy as FormatPolicy
from pipe_core.project.validation.hybrid import validate_hybrid_pipeline as validate_hybrid_pipeline
from pipe_core.project.validation.report import ValidationProblem as ValidationProblem
from pipe_core.project.validation.report import ValidationReport as ValidationReport
from pipe_core.project.validation.required import validate_node_configs as validate_node_configs
from pipe_core.project.validation.required import validate_pipeline_config as validate_pipeline_config
from pipe_core.project.validation.required import validate_required_params as validate_required_params
from pipe_core.project.validation.whole_project import validate_project as validate_project
