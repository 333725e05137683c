"""A switch of a config that changes how a model runs and not what it computes.

    compile = True                     # or dict(mode="max-autotune-no-cudagraphs", ...)

Activation checkpointing, which parts of the model do themselves, comes first: a checkpoint runs a
compiled layer again as it runs any other; were the checkpoint inside what is compiled, it would be
the compiler's choice what to keep, and how much memory a run takes would depend on its version.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from engine.errors import ConfigError
from engine.model.layers import InstanceNormSiLU


def compile_blocks(model: nn.Module, options: bool | dict[str, Any] = True) -> int:
    """Compiles a model in place, block by block.

    Blocks of a kind share one compilation, so that 48 layers take the time of one. In a head only
    the norms are compiled, with their activations: convolutions are library calls in any case. The
    names of parameters stay, as does everything between the blocks.

    Args:
        model: A model without a data-parallel wrapper, or within one.
        options: Keyword arguments of torch.compile; True for none, False to compile nothing.

    Returns:
        The number of blocks compiled.

    Raises:
        ConfigError: If the options are of another type, or the model has no blocks.
    """
    if options is False:
        return 0
    if options is not True and not isinstance(options, dict):
        raise ConfigError(
            f"compile: expected True, False or a dict of torch.compile's arguments, "
            f"found {options!r}."
        )
    blocks = compilable_blocks(model)
    if not blocks:
        raise ConfigError(
            f"compile: {type(model).__name__} has no blocks to compile. Remove the key."
        )
    for block in blocks:
        block.compile(**({} if options is True else options))
    return len(blocks)


def compilable_blocks(model: nn.Module) -> list[nn.Module]:
    """Returns the members of each ModuleList, and each InstanceNormSiLU outside of them."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    norms = [module for module in model.modules() if isinstance(module, InstanceNormSiLU)]
    return [*(block for blocks in lists for block in blocks), *norms]
