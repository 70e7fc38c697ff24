"""Experiments: looking for the parameters with which a function does best.

`command` has `ExperimentCommand`. `dimensions` and `space` say what is varied; `optimizer` says what an optimizer must
do, `random_search` and `grid_search` are two, and `choosing` finds one by its name. `running` is the loop of trials on
any executor, `study` and its two modules keep them in a file, `result` is what comes out, `importance`, `axes`,
`study_drawing` and `study_page` show it.
"""

from pipe_core.project.experiments.command import ExperimentCommand as ExperimentCommand
from pipe_core.project.experiments.dimensions import Categorical as Categorical
from pipe_core.project.experiments.dimensions import Float as Float
from pipe_core.project.experiments.dimensions import Integer as Integer
from pipe_core.project.experiments.errors import ExperimentError as ExperimentError
from pipe_core.project.experiments.errors import OptimizerError as OptimizerError
from pipe_core.project.experiments.errors import OptimizerMissingError as OptimizerMissingError
from pipe_core.project.experiments.errors import StudyError as StudyError
from pipe_core.project.experiments.errors import StudyInUseError as StudyInUseError
from pipe_core.project.experiments.grid_search import GridSearch as GridSearch
from pipe_core.project.experiments.importance import parameter_importances as parameter_importances
from pipe_core.project.experiments.optimizer import Optimizer as Optimizer
from pipe_core.project.experiments.optimizer import ResumableOptimizer as ResumableOptimizer
from pipe_core.project.experiments.random_search import RandomSearch as RandomSearch
from pipe_core.project.experiments.result import ExperimentResult as ExperimentResult
from pipe_core.project.experiments.space import Point as Point
from pipe_core.project.experiments.space import Space as Space
from pipe_core.project.experiments.trial import Trial as Trial
