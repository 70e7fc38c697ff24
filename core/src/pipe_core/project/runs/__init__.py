"""Runs of a project: from the plan over the steps to what is kept of them."""
