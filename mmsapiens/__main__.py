"""``python -m mmsapiens``: the same as the command ``mmsapiens``."""

from mmsapiens.cli import main

if __name__ == "__main__":
    main()
