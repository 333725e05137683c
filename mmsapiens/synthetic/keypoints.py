"""Where the named points of a scene lie in its picture, and which of them are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scene import Scene
from .solids import Solid

# A keypoint counts as seen up to this share of the view's height behind the visible surface, which
# pixels sample coarsely, but not behind what is thicker than the second number, as a mask is.
SLACK, MOST_SLACK = 0.01, 0.08


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The K keypoints of all persons of a picture.

    Args:
        names: Their names, unique for each person.
        person: (K,) int64, index of the person.
        xy: (K, 2) float32 pixels, inside the image or not; pixel centres are integers.
        inside: (K,) bool, inside the image.
        visible: (K,) bool, inside the image and not hidden.
    """

    names: tuple[str, ...]
    person: np.ndarray
    xy: np.ndarray
    inside: np.ndarray
    visible: np.ndarray


def find_keypoints(scene: Scene, depth: np.ndarray) -> Keypoints:
    """Projects the keypoints of all solids and compares them with the depth map (H, W)."""
    names, person, xy, front = [], [], [], []
    size_hw = (depth.shape[0], depth.shape[1])
    for solid in scene.solids:
        for name, local in (*solid.keypoints.items(), *solid.joints.items()):
            world = solid.to_world(local)
            names.append(name)
            person.append(solid.person)
            xy.append(scene.camera.project(world, size_hw))
            front.append(_front(solid, world, name in solid.joints))
    points = np.array(xy, dtype=np.float64).reshape(-1, 2)
    slack = min(SLACK * scene.camera.view_height, MOST_SLACK)
    inside, visible = _compare(points, np.array(front) - slack, depth)
    return Keypoints(
        names=tuple(names),
        person=np.array(person, dtype=np.int64),
        xy=points.astype(np.float32),
        inside=inside,
        visible=visible,
    )


def _front(solid: Solid, world: np.ndarray, is_joint: bool) -> float:
    """How near something must be to hide the point: in front of its own solid and the clothes."""
    z = world[2]
    if is_joint:
        z = min(z, float(solid.cast(world[0], world[1])))
    return z - solid.cover


def _compare(
    points: np.ndarray, front: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which points (K, 2) lie inside the image, and which have nothing before ``front`` (K,)."""
    height, width = depth.shape
    low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
    inside = (low >= 0).all(axis=1) & (high < (width, height)).all(axis=1)
    visible = inside.copy()
    (x0, y0), (x1, y1), front = low[inside].T, high[inside].T, front[inside]
    # All pixels around the point: rounding to one would not be symmetric.
    corners = np.stack([depth[y, x] for y in (y0, y1) for x in (x0, x1)])
    visible[inside] = (front <= corners).any(axis=0)
    return inside, visible
