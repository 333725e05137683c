"""Images in tar archives, read in place."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any, Literal

from engine.data.dataset import BaseDataset
from engine.data.files import IMAGE_SUFFIXES
from engine.errors import DataError
from pretrain.registry import DATASETS


@DATASETS.register_module()
class TarImageDataset(BaseDataset):
    """The images in uncompressed tar archives, as WebDataset and img2dataset write them.

    The archives' headers are read once, half a minute a million members; then an image is one read
    at a known offset. So samples are shuffled over all archives, dealt out without overlap, and
    resumed exactly, as files are. Other members (captions, labels) are left alone.

    Args:
        data_root: Folder of the archives.
        shards: Pattern of their paths below it.
        on_corrupt: By default a corrupt image is skipped and counted. For this and the rest, see
            :class:`engine.data.dataset.BaseDataset`.
        **kwargs: ``pipeline``, ``indices``, ...
    """

    def __init__(
        self,
        data_root: str,
        *,
        shards: str = "**/*.tar",
        on_corrupt: Literal["raise", "skip"] = "skip",
        **kwargs: Any,
    ) -> None:
        self.shards = shards
        super().__init__(data_root=data_root, on_corrupt=on_corrupt, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns one record an image, in the order of the archives' paths, then of their members.

        Raises:
            DataError: If there is no archive, one cannot be read, or there is no image in them.
        """
        shards = sorted(Path(self.data_root).glob(self.shards))
        where = f"{self.shards!r} in {str(self.data_root)!r}"
        if not shards:
            raise DataError(f"TarImageDataset: no archive matches {where}.")
        records = [record for shard in shards for record in list_images(shard)]
        if not records:
            suffixes = ", ".join(IMAGE_SUFFIXES)
            raise DataError(
                f"TarImageDataset: the {len(shards)} archives {where} hold no image ({suffixes})."
            )
        return records


def list_images(archive: Path) -> list[dict]:
    """Finds the images of an archive.

    Returns:
        For each ``archive``, ``img_span`` (offset, length) in it, and ``img_path``, the member's
        name below the archive's path.

    Raises:
        DataError: If the archive is compressed, cut short, or none.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            return [
                {
                    "img_path": f"{archive}/{member.name}",
                    "archive": str(archive),
                    "img_span": (member.offset_data, member.size),
                }
                for member in tar
                if member.isreg() and member.name.lower().endswith(IMAGE_SUFFIXES)
            ]
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"{archive} cannot be read as an uncompressed tar archive: {error}. Copy it again if "
            "it is cut short; unpack it if it is compressed."
        ) from error
