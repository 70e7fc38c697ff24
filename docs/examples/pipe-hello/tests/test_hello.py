from pipe_core.testing import ExecutorConformance


class TestHello(ExecutorConformance):
    executor = "hello"
