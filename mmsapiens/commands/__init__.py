"""One module a verb: a docstring, its help; ``add_arguments(parser)`` and ``run(args)``."""
