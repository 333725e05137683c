"""``mmsapiens synthesize``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["synthesize", *sys.argv[1:]])
