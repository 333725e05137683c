"""``mmsapiens infer``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["infer", *sys.argv[1:]])
