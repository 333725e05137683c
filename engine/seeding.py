"""The random state of a training iteration."""

from __future__ import annotations

import numpy as np
import torch


def seed_iteration(seed: int, rank: int, iteration: int) -> None:
    """Seeds PyTorch's global generators (dropout, drop path) for one training iteration.

    The state of the generators is thus a function of where the run is, and needs no saving.
    """
    sequence = np.random.SeedSequence([seed, rank, iteration])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)
