"""``mmsapiens browse``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["browse", *sys.argv[1:]])
