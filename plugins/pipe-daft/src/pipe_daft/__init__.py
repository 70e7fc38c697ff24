"""`DaftEngine`: pipelines on Daft data frames, given to ``engine=``.

`engine` is what a pipeline calls, `expressions` makes a data frame of a plan, with an expression for each node, and
`calls` is what these expressions call: `calls.Kept` where a run waits for the results, `lazy.Lazy` where the frame is
given away before anything has run. `waiting` waits for Daft and hears Ctrl-C, and `refusals` says what cannot be done.
"""

from pipe_daft.engine import DaftEngine as DaftEngine
