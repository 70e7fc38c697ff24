"""Optimizers for `pipe_core.project.experiments`.

`pipe_ml.optuna` and `pipe_ml.skopt` have one each, and each imports its library. `ExperimentCommand` finds them by the
words ``"optuna"`` and ``"skopt"``; nothing here is imported before one of them is asked for.
"""
