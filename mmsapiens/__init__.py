"""What stands above the tasks: the command, synthetic people, checks of data, benchmarks."""

__version__ = "0.2.0"
