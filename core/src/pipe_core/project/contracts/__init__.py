"""Contracts: what records must be like where they enter a node, leave it, are loaded or are saved.

A `Contract` is a schema and a policy. `shape` is what it asks a schema, answered by `model_shape` for what pydantic
takes and by `arrow_shape` for schemas of Arrow. `rows` holds records against it and `tables` tables, column by column;
both tell a `tally` what they found. `of_nodes` makes the contracts of a node from its settings.
"""

from pipe_core.project.contracts.contract import Applied as Applied
from pipe_core.project.contracts.contract import Contract as Contract
from pipe_core.project.contracts.errors import ContractError as ContractError
from pipe_core.project.contracts.of_nodes import NodeContracts as NodeContracts
from pipe_core.project.contracts.of_nodes import check_names as check_names
from pipe_core.project.contracts.tally import ContractNote as ContractNote
from pipe_core.project.contracts.tally import summed as summed
