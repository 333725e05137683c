"""``mmsapiens check``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]])
