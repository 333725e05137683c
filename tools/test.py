"""``mmsapiens test``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["test", *sys.argv[1:]])
