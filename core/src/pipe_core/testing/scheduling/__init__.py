"""The tests of `SchedulerConformance`: what a scheduler answers, and what it does beside."""
