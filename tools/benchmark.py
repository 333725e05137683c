"""``mmsapiens benchmark``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["benchmark", *sys.argv[1:]])
