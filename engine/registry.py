"""Registries: those of a task's package, and the one kind of block that MMEngine has none for."""

import mmengine.registry
from mmengine.registry import Registry

WRITERS = Registry("writer")
"""What :mod:`engine.infer` writes for an image; named by the config's top-level ``writer``."""


def child_registries(scope: str) -> dict[str, Registry]:
    """Makes a child of each of MMEngine's registries, and of ours, for the package ``scope``.

    A complete set: MMEngine warns of every registry that a scope lacks, whether used or not.

    Returns:
        The children by their names in :mod:`mmengine.registry`, such as ``"MODELS"``.
    """
    roots = {**vars(mmengine.registry), "WRITERS": WRITERS}
    return {
        name: Registry(root.name, parent=root, scope=scope, locations=[scope])
        for name, root in roots.items()
        if isinstance(root, Registry)
    }
