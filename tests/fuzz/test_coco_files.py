"""Annotation files that are broken at random are refused in a sentence, or evaluated right."""

from __future__ import annotations

import copy
import gc
import json
import random
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import DataError
from pose.datasets import CocoDataset
from tests.pose.oracle import make_content, oracle_ap, write

NUM = 40

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1e-9, 1e9, 1e300, -1e300, 2**70, 10**400,
    float("nan"), float("inf"), float("-inf"), "", "1", "nose", "[1, 2]", "\ud800", "ä" * 300,
    [], [1], [[1, 2, 3]], [1, 2, 3, 4], ["a"] * 51, [None] * 4, [0] * 51, [1e300] * 51,
    {}, {"id": 1},
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def quick_garbage():
    """MMEngine collects garbage at every dataset: spare it what is there already."""
    gc.freeze()
    yield
    gc.unfreeze()


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Where something can be changed: keys and indices from the top."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        found += places(item, (*path, key))
    return found


def mutate(content: Any, rng: random.Random) -> bytes:
    """Returns a file with one to three changes."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        by_depth: dict[int, list[tuple]] = {}
        for path in places(content):
            by_depth.setdefault(len(path), []).append(path)
        if not by_depth:
            break
        *parents, last = rng.choice(by_depth[rng.choice(sorted(by_depth))])
        holder: Any = content
        for key in parents:
            holder = holder[key]
        change = rng.choice(["set", "set", "set", "delete", "repeat", "wrap", "copy"])
        if change == "set":
            holder[last] = copy.deepcopy(rng.choice(STRANGE))
        elif change == "delete":
            del holder[last]
        elif change == "wrap":
            holder[last] = [holder[last]]
        elif change == "repeat" and isinstance(holder, list):
            holder.insert(last, copy.deepcopy(holder[last]))
        elif change == "copy" and isinstance(holder, dict):  # such as the id of another
            sibling = holder.get(rng.choice(sorted(holder)))
            holder[last] = copy.deepcopy(sibling)
    data = bytearray(json.dumps(content).encode())
    if rng.random() < 0.15:
        at = rng.randrange(len(data))
        if rng.random() < 0.3:
            del data[at:]
        else:
            data[at] = rng.randrange(256)
    return bytes(data)


def outcome_of(path: Path) -> str:
    """What becomes of a file; ends with where, if it is a fault of ours."""
    try:
        ap = oracle_ap(path)
    except DataError as error:
        return "refused" if path.name in str(error) else f"mute: {error}"
    except Exception:
        return f"traceback {traceback.format_exc(limit=-3)}"
    return "one" if ap > 1 - 1e-6 else f"other AP {ap}"


def box_outcome(ann_path: Path, bbox_path: Path) -> str:
    """The same for a file of detected boxes."""
    try:
        dataset = CocoDataset(str(ann_path), bbox_file=str(bbox_path))
        boxes = np.stack([dataset.get_data_info(i)["bbox"][0] for i in range(len(dataset))])
        scores = np.stack([dataset.get_data_info(i)["bbox_score"] for i in range(len(dataset))])
    except DataError as error:
        return "refused" if bbox_path.name in str(error) else f"mute: {error}"
    except Exception:
        return f"traceback {traceback.format_exc(limit=-3)}"
    is_box = np.isfinite(boxes).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    return "accepted" if is_box and np.isfinite(scores).all() else f"other {boxes} {scores}"


def test_mutants_of_detected_boxes(request, tmp_path):
    num = request.config.getoption("--fuzz", default=None) or NUM
    ann_path = write(make_content(), tmp_path)
    boxes = [
        dict(image_id=i, category_id=1, bbox=[5.5, 6, 70, 80.5], score=0.9) for i in (1, 2, 2, 3)
    ]
    bbox_path = tmp_path / "boxes.json"
    outcomes = Counter()
    for seed in range(num):
        bbox_path.write_bytes(mutate(boxes, random.Random(seed)))
        outcome = box_outcome(ann_path, bbox_path)
        assert outcome in ("refused", "accepted"), f"seed {seed}: {outcome}"
        outcomes[outcome] += 1
    assert min(outcomes["refused"], outcomes["accepted"]) > num / 10


def test_mutants_of_an_annotation_file(request, tmp_path):
    num = request.config.getoption("--fuzz", default=None) or NUM
    content = make_content(num_images=2, num_people=2)
    outcomes = Counter()
    faults = []
    for seed in range(num):
        path = tmp_path / "people.json"
        path.write_bytes(mutate(content, random.Random(seed)))
        outcome = outcome_of(path)
        outcomes[outcome.split()[0]] += 1
        if outcome not in ("refused", "one"):
            faults.append(f"seed {seed}: {outcome}")
    assert not faults, f"{dict(outcomes)}\n" + "\n".join(faults)
    assert outcomes["refused"] > num / 5 and outcomes["one"] > num / 10
