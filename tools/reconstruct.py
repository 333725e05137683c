"""``mmsapiens reconstruct``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["reconstruct", *sys.argv[1:]])
