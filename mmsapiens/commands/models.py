"""Lists the released models, and which of them are on this disk.

    mmsapiens models
    mmsapiens models sapiens-1b-parts
    mmsapiens models sapiens-1b-parts --download
    mmsapiens models sapiens-1b-parts --download --torchscript

With a name: all about that one. Weights are looked for below $SAPIENS_CHECKPOINT_ROOT, in the
release's folders and without, and downloaded into the former. All: docs/models.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("name", nargs="?", help="a name of the list")
    parser.add_argument("--download", action="store_true", help="get its weights if not here")
    parser.add_argument("--torchscript", action="store_true", help="get the TorchScript file")


def run(args: argparse.Namespace) -> None:
    """Prints all models, or one."""
    from engine.errors import ConfigError
    from mmsapiens.hub import fetch
    from mmsapiens.zoo import find

    if args.name is None:
        if args.download or args.torchscript:
            raise ConfigError("--download and --torchscript need the NAME of a model.")
        print(overview())
        return
    released = find(args.name)
    if args.torchscript and not args.download:
        raise ConfigError("--torchscript says what to --download.")
    if args.download:
        fetch(released, args.torchscript)
    print(describe(args.name))


def overview() -> str:
    """Returns the list of all models, a line each."""
    from mmsapiens.hub import checkpoint_root, locate
    from mmsapiens.zoo import LICENCE, RELEASED

    root = checkpoint_root()
    rows = [("name", "task", "published", "config", "on this disk")]
    for model in RELEASED.values():
        found = [path for torchscript in (False, True) if (path := locate(model, torchscript))]
        places = ", ".join(with_size(path, root) for path in found) or "-"
        rows.append((model.name, model.task, model.figure or "-", model.config, places))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[c.ljust(width) for c, width in zip(row, widths, strict=True)] for row in rows]
    num = sum(row[-1] != "-" for row in rows[1:])
    end = (
        f"{num} of {len(RELEASED)} are below {root}. The licence of all is {LICENCE}: "
        "not for products."
    )
    return "\n".join([*("  ".join(cells).rstrip() for cells in padded), "", end])


def describe(name: str) -> str:
    """Returns all that is known of a model."""
    from mmsapiens.hub import checkpoint_root, locate, sources
    from mmsapiens.zoo import find

    model = find(name)
    lines = [
        model.name,
        f"  task         {model.task}, {model.size}",
        f"  published    {model.figure or 'no figure in its name'}",
        f"  config       {model.config}",
        f"  licence      {model.licence}: not for products",
    ]
    for torchscript, title in ((False, "weights"), (True, "TorchScript")):
        path = locate(model, torchscript)
        lines.append(f"  {title:13}{with_size(path) if path else f'not below {checkpoint_root()}'}")
        lines += [f"{'':15}{place}/{file}" for place, file in sources(model, torchscript)]
    return "\n".join(lines)


def with_size(path: Path, root: Path | None = None) -> str:
    """Returns a file, below a folder if one is given, and how large it is."""
    place = path if root is None else path.relative_to(root)
    return f"{place} ({path.stat().st_size / 2**30:.1f} GiB)"
