"""Where the named points of a scene lie in its picture, and which of them are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scene import Scene

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
    height, width = depth.shape
    for solid in scene.solids:
        for name, local in (*solid.keypoints.items(), *solid.joints.items()):
            world = solid.to_world(local)
            z = world[2]
            if name in solid.joints:
                z = min(z, float(solid.cast(world[0], world[1])))
            names.append(name)
            person.append(solid.person)
            xy.append(scene.project(world, (height, width)))
            # What hides the point is nearer: in front of its own solid and the clothes.
            front.append(z - solid.cover)
    points: np.ndarray = np.array(xy, dtype=np.float64).reshape(-1, 2)
    low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
    inside = (low >= 0).all(axis=1) & (high < (width, height)).all(axis=1)
    visible = inside.copy()
    (x0, y0), (x1, y1) = low[inside].T, high[inside].T
    # All pixels around the point: rounding to one would not be symmetric.
    corners = np.stack([depth[y, x] for y in (y0, y1) for x in (x0, x1)])
    slack = min(SLACK * scene.view_height, MOST_SLACK)
    visible[inside] = (np.array(front)[inside] - slack <= corners).any(axis=0)
    return Keypoints(
        names=tuple(names),
        person=np.array(person, dtype=np.int64),
        xy=points.astype(np.float32),
        inside=inside,
        visible=visible,
    )
