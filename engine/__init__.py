"""What every task shares, on top of MMEngine: data, training, inference, checkpoints."""
