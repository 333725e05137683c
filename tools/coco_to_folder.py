"""``mmsapiens coco-to-folder``, as a file."""

import sys

from mmsapiens.cli import main

if __name__ == "__main__":
    main(["coco-to-folder", *sys.argv[1:]])
