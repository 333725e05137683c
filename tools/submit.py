"""``mmsapiens submit``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["submit", *sys.argv[1:]])
