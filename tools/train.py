"""``mmsapiens train``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
