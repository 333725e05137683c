import numpy as np
import pytest
import torch

from pretrain.position import sincos_positions


def test_table_is_its_formula():
    table = sincos_positions((5, 7), 16)
    assert table.shape == (1, 1 + 35, 16) and table.dtype == torch.float32
    assert not table[0, 0].any(), "the class token has none"
    for y in range(5):
        for x in range(7):
            omega = 10000.0 ** (-np.arange(4) / 4)
            parts = (np.sin(y * omega), np.cos(y * omega), np.sin(x * omega), np.cos(x * omega))
            got = table[0, 1 + y * 7 + x].double()
            torch.testing.assert_close(got, torch.tensor(np.concatenate(parts)), rtol=0, atol=2e-6)


@pytest.mark.parametrize("dims", [512, 1920])
def test_table_is_accurate_at_the_released_size(dims):
    table = sincos_positions((64, 64), dims)[0, 1 + 63 * 64 + 63].double()
    omega = 10000.0 ** (-np.arange(dims // 4) / (dims // 4))
    expected = np.concatenate([np.sin(63 * omega), np.cos(63 * omega)] * 2)
    torch.testing.assert_close(table, torch.tensor(expected), rtol=0, atol=2e-5)


def test_table_is_the_recorded_one(golden):
    state = golden("mae").state_dict
    for key in ("backbone.pos_embed", "neck.decoder_pos_embed"):
        torch.testing.assert_close(sincos_positions((4, 4), 32), state[key], rtol=0, atol=1e-6)


def test_dims_must_hold_four_parts():
    with pytest.raises(ValueError, match="multiple of 4: 30"):
        sincos_positions((4, 4), 30)
