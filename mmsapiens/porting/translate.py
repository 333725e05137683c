"""Translates the values of a config of another project; names by :mod:`engine.foreign`.

What is ported is what both have. The rest is left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.config.arguments import unknown_names
from engine.config.load import register
from engine.config.validate import KNOWN_KEYS
from engine.config.walk import find_nodes
from engine.errors import ConfigError, shorten
from engine.foreign import COUNTERPARTS, SCOPES

ARGUMENTS = {
    ("DataPreprocessor", "to_rgb"): "bgr_to_rgb",
    ("PicturesHook", "interval"): "train_interval",
    ("PicturesHook", "max_samples"): "num_samples",
    ("RandomHalfBody", "min_total_keypoints"): "min_total",
    ("RandomHalfBody", "min_upper_keypoints"): "min_upper",
    ("RandomHalfBody", "min_lower_keypoints"): "min_lower",
    ("RandomHalfBody", "upper_prioritized_prob"): "upper_prob",
}
"""(Our class, their argument) -> our argument."""
GEOMETRIC = (
    *("GetBBoxCenterScale", "RandomBBoxTransform", "RandomCrop", "RandomFlip", "RandomHalfBody"),
    *("RandomResize", "RandomResizedCrop", "RandomRotate", "Resize", "TopdownAffine"),
)
LOADERS = {"GenerateDepthTarget": "LoadDepth", "GenerateNormalTarget": "LoadNormal"}
"""What loads the maps that a step makes targets of. There LoadImage does."""
WRITERS = {
    "VitHead": "SegWriter",
    "VitDepthHead": "DepthWriter",
    "VitNormalHead": "NormalWriter",
    "HeatmapHead": "PoseWriter",
}
"""By the model's head. The visualizer's name begins alike."""
KEYPOINT_SETS = {17: "coco", 133: "coco_wholebody", 308: "goliath"}


def translate(foreign: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Translates a config.

    Args:
        foreign: All values of another project's config, by name.

    Returns:
        The sections of a config of this project, and what became of the others' names, a line
        each. Whether the sections make a config that runs, ``load_config`` tells.

    Raises:
        ConfigError: If it is of no project that is known.
    """
    theirs = foreign.get("default_scope")
    if theirs not in SCOPES:
        raise ConfigError(f"default_scope is {theirs!r}; expected one of {', '.join(SCOPES)}.")
    scope = SCOPES[theirs]
    register({"default_scope": scope})
    notes: list[str] = []
    sections = dict(foreign)
    for key in foreign:
        if (
            key not in KNOWN_KEYS or key == "custom_imports"
        ):  # importing would run a stranger's code
            value = sections.pop(key)
            if key in KNOWN_KEYS or _is_built(value):
                notes.append(f"{key}: left out")
    cfg = _renamed(sections, "", scope, notes) | {"default_scope": scope}
    for path, steps in _pipelines(cfg):
        _order(steps, path, notes)
    _complete_model(cfg, notes)
    _complete_loops(cfg, _dict(foreign, "optim_wrapper").get("type", "OptimWrapper"), notes)
    for split in ("train", "val", "test"):
        _unwrap_dataset(_dict(cfg, f"{split}_dataloader"), split, notes)
    _prune(cfg, notes)
    return cfg, notes


def _dict(value: Any, *keys: str) -> dict[str, Any]:
    """Returns the dict under these keys; an empty one if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_built(value: Any) -> bool:
    return "type" in _dict(value)


def _renamed(value: Any, place: str, scope: str, notes: list[str]) -> Any:
    """Returns a value with our names of classes and arguments, and without what has none."""
    if isinstance(value, (list, tuple)):
        places = [f"{place}[{i}]" for i in range(len(value))]
        kept = [(v, p) for v, p in zip(value, places, strict=True) if _has_name(v, p, notes)]
        return type(value)(_renamed(v, p, scope, notes) for v, p in kept)
    if not isinstance(value, dict):
        return value
    value = dict(value)
    if isinstance(value.get("type"), str):
        value["type"] = _name(value["type"], place, scope, notes)
    result = {}
    for key, item in value.items():
        below = f"{place}.{key}".lstrip(".")
        name = ARGUMENTS.get((value.get("type", ""), key), key)
        if name != key:
            notes.append(f"{below}: now {name}")
        if _has_name(item, below, notes):
            item = list(item) if key == "pipeline" and isinstance(item, tuple) else item
            result[name] = _renamed(item, below, scope, notes)
    return result


def _name(theirs: str, place: str, scope: str, notes: list[str]) -> str:
    prefix, _, bare = theirs.rpartition(".")
    ours = COUNTERPARTS[bare].name if bare in COUNTERPARTS else bare
    prefix = SCOPES.get(prefix, "" if prefix in ("mmcv", "mmengine") else prefix)
    ours = f"{prefix}.{ours}" if prefix not in ("", scope) else ours
    if ours != theirs:
        notes.append(f"{place}: {theirs} is {ours}")
    return ours


def _has_name(value: Any, place: str, notes: list[str]) -> bool:
    """Whether there is a class here for what a dict builds; a note says what else there is."""
    bare = str(_dict(value).get("type")).rpartition(".")[2]
    if bare not in COUNTERPARTS or COUNTERPARTS[bare].name:
        return True
    notes.append(f"{place}: {bare} is left out; here: {COUNTERPARTS[bare].note.replace('`', '')}")
    return False


def _pipelines(value: Any, path: str = "") -> Iterator[tuple[str, list[dict]]]:
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}".lstrip(".")
            if key == "pipeline" and isinstance(item, list):
                yield below, item
            else:
                yield from _pipelines(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pipelines(item, f"{path}[{index}]")


def _order(steps: list[dict], path: str, notes: list[str]) -> None:
    """Lets one Warp end the geometry, and lets what is needed be loaded."""
    types = [_dict(step).get("type") for step in steps]
    last = max((i for i, name in enumerate(types) if name in GEOMETRIC), default=-1)
    if last >= 0 and "Warp" not in types:
        steps.insert(last + 1, {"type": "Warp"})
        notes.append(f"{path}: Warp follows {types[last]}, and moves the pixels")
    for target, loader in LOADERS.items():
        if target in types:
            steps[1:1] = [{"type": "LoadMask"}, {"type": loader}]
            notes.append(f"{path}: LoadMask and {loader} load what LoadImage loaded")
    background = [step for step in steps if _dict(step).get("type") == "RandomBackground"]
    rest = [step for step in steps if step not in background]
    tells_people = [_dict(step).get("type") in ("LoadLabels", "LoadMask") for step in rest]
    if background and True in tells_people:
        after = tells_people.index(True) + 1
        steps[:] = [*rest[:after], *background, *rest[after:]]


def _complete_model(cfg: dict, notes: list[str]) -> None:
    """Moves what is said in one place here, and adds what belongs to the model."""
    model, backbone = _dict(cfg, "model"), _dict(cfg, "model", "backbone")
    preprocessor = cfg.pop("data_preprocessor", None)
    if preprocessor:
        model.setdefault("data_preprocessor", {"type": "DataPreprocessor", **_dict(preprocessor)})
    if "img_size" in backbone:
        cfg["input_size_hw"] = backbone.pop("img_size")
        notes.append("model.backbone.img_size: now input_size_hw, (height, width)")
    head = _dict(model, "decode_head") or _dict(model, "head")
    num_keypoints = head.pop("out_channels", None)
    head.pop("in_channels", None)
    if head.get("type") == "HeatmapHead":
        if num_keypoints in KEYPOINT_SETS:
            model.setdefault("metainfo", KEYPOINT_SETS[num_keypoints])
        for derived in ("input_size", "heatmap_size"):
            _dict(head, "decoder").pop(derived, None)
    writer = WRITERS.get(str(head.get("type")))
    if writer:
        cfg["writer"] = {"type": writer}
        if _is_built(cfg.get("visualizer")):
            cfg["visualizer"]["type"] = writer.replace("Writer", "Visualizer")


def _complete_loops(cfg: dict, wrapper_type: str, notes: list[str]) -> None:
    """Gives the optimizer wrapper and the loop that resume exactly."""
    wrapper, loop = _dict(cfg, "optim_wrapper"), _dict(cfg, "train_cfg")
    if wrapper and wrapper_type == "OptimWrapper":
        wrapper |= {"type": "AutocastOptimWrapper", "dtype": "float32"}
        notes.append('optim_wrapper: AutocastOptimWrapper, dtype="float32"; "bfloat16" is faster')
    if wrapper_type == "AmpOptimWrapper" and wrapper.pop("loss_scale", None):
        notes.append("optim_wrapper.loss_scale: left out, bfloat16 needs none")
    if wrapper.get("constructor") == "LayerDecayOptimWrapperConstructor":
        for key in ("num_layers", "custom_keys"):
            if _dict(wrapper, "paramwise_cfg").pop(key, None) is not None:
                notes.append(f"optim_wrapper.paramwise_cfg.{key}: left out, had no effect")
    if loop.pop("by_epoch", None):
        loop["type"] = "ResumableTrainLoop"
        notes.append("train_cfg: ResumableTrainLoop")


def _unwrap_dataset(loader: dict, split: str, notes: list[str]) -> None:
    """Takes a dataset alone out of what combined it, and paths out of the folder they are in."""
    dataset = _dict(loader, "dataset")
    joined = dataset.get("datasets")
    if isinstance(joined, list) and len(joined) == 1 and not _dict(joined[0]).get("pipeline"):
        dataset = loader["dataset"] = {**_dict(joined[0]), "pipeline": dataset.get("pipeline", [])}
        notes.append(f"{split}_dataloader.dataset: {dataset.get('type')} alone")
    if "from_file" in _dict(dataset, "metainfo"):
        del dataset["metainfo"]
    folder = f"{str(dataset.get('data_root', '')).rstrip('/')}/"
    for key in ("ann_file", "bbox_file"):
        if str(dataset.get(key)).startswith(folder):
            dataset[key] = dataset[key].removeprefix(folder)
    if dataset.get("type") in ("LIPDataset", "CIHPDataset"):
        dataset["split"] = "train" if split == "train" else "val"


def _prune(cfg: dict, notes: list[str]) -> None:
    """Leaves out the arguments that nothing here reads."""
    for node in find_nodes(cfg, []):
        for name in unknown_names(node):
            notes.append(
                f"{node.path}.{name}: left out, nothing reads it: {shorten(node.cfg[name])}"
            )
            del node.cfg[name]
