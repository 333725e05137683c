"""Images without labels: files, or members of tar archives."""

from pretrain.datasets.image_list import ImageListDataset
from pretrain.datasets.tar_images import TarImageDataset

__all__ = ["ImageListDataset", "TarImageDataset"]
