"""The tests of `ExecutorConformance`, a module for each thing that an executor promises."""
