"""FaceSynthetics: rendered faces with 19 labels (Wood et al., 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from engine.data.files import Named, PassedOver, by_stem, join_by_stem, require_partners
from engine.errors import DataError
from seg.parts.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS


@DATASETS.register_module()
class FaceDataset(SegDataset):
    """A flat folder of ``NNNNNN.png`` and ``NNNNNN_seg.png``; ``NNNNNN_ldmks.txt`` is not read.

    The released archive has no split: ``split="train"`` and ``"val"`` divide it by ``val_ratio`` or
    ``val_list``, the same way in every run. Label 255 is ignored.
    """

    METAINFO: ClassVar[dict] = {
        "classes": (
            "Background", "Skin", "Nose", "Right_eye", "Left_eye", "Right_brow", "Left_brow",
            "Right_ear", "Left_ear", "Mouth_interior", "Top_lip", "Bottom_lip", "Neck", "Hair",
            "Beard", "Clothing", "Glasses", "Headwear", "Facewear",
        ),
        # The release gives Left_ear and Headwear one colour, (255, 215, 0): Headwear is (170, 60,
        # 20).
        "palette": (
            (0, 0, 0), (128, 200, 255), (255, 200, 150), (0, 255, 127), (255, 99, 71),
            (30, 144, 255), (255, 140, 0), (238, 130, 238), (255, 215, 0), (82, 21, 114),
            (115, 227, 112), (235, 205, 119), (255, 182, 193), (255, 0, 109), (169, 169, 169),
            (0, 128, 72), (0, 70, 130), (170, 60, 20), (75, 0, 130),
        ),
        "flip_pairs": (
            ("Right_eye", "Left_eye"), ("Right_brow", "Left_brow"), ("Right_ear", "Left_ear"),
        ),
    }  # fmt: skip

    def find_records(self) -> list[Named]:
        """See base class."""
        root = Path(self.data_root)
        passed_over, names = PassedOver(root), []
        for path in root.iterdir():
            if path.suffix.lower() == ".png" and not path.name.startswith("."):
                names.append(path.name)
            elif path.is_dir():
                passed_over.add("folders", path.name)
            elif path.suffix.lower() != ".txt" and not path.name.startswith("."):
                passed_over.add(f"files with the suffix {path.suffix}", path.name)
        passed_over.report()
        paths = by_stem(root, names)
        labels = {n.removesuffix("_seg"): p for n, p in paths.items() if n.endswith("_seg")}
        images = {name: path for name, path in paths.items() if not name.endswith("_seg")}
        if not images:
            raise DataError(
                f"No NNNNNN.png in {str(root)!r}; expected FaceSynthetics' flat folder."
            )
        require_partners(images, labels, "label map", root)
        require_partners(labels, images, "image", root)
        return join_by_stem({"img_path": images, "seg_map_path": labels})
