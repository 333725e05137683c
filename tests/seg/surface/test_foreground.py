import cv2
import numpy as np
import pytest

from engine.errors import DataError
from seg.surface.reading import load_mask


def test_masks_of_both_kinds_are_found_by_stem_and_resized(tmp_path):
    mask = np.zeros((4, 6), bool)
    mask[:2, :3] = True
    (tmp_path / "sub").mkdir()
    np.save(tmp_path / "sub" / "a.npy", mask)
    cv2.imwrite(str(tmp_path / "b.png"), mask.astype(np.uint8) * 255)
    np.testing.assert_array_equal(load_mask(tmp_path, "sub/a", (4, 6)), mask)
    large = load_mask(tmp_path, "b", (8, 12))
    np.testing.assert_array_equal(large, mask.repeat(2, axis=0).repeat(2, axis=1))
    assert large.dtype == np.uint8


def test_a_missing_mask_says_where_it_was_sought(tmp_path):
    with pytest.raises(DataError, match=r"neither .*a\.npy nor a\.png"):
        load_mask(tmp_path, "a", (4, 6))
