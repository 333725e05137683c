"""``mmsapiens convert``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["convert", *sys.argv[1:]])
