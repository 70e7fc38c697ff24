"""What a project's files say: documents with places, layers merged by key, ``${NAME}``, and typed, checked models."""

from pipe_core.project.config.models import BreakerConfig as BreakerConfig
from pipe_core.project.config.models import ContractConfig as ContractConfig
from pipe_core.project.config.models import ContractsConfig as ContractsConfig
from pipe_core.project.config.models import DatasetConfig as DatasetConfig
from pipe_core.project.config.models import NodeConfig as NodeConfig
from pipe_core.project.config.models import PipelineConfig as PipelineConfig
from pipe_core.project.config.models import ProjectSettings as ProjectSettings
from pipe_core.project.config.models import RetryConfig as RetryConfig
from pipe_core.project.config.models import StreamingConfig as StreamingConfig
