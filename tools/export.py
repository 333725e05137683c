"""``mmsapiens export``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["export", *sys.argv[1:]])
