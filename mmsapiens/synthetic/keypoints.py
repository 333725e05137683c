"""Where the named points of a scene lie in its picture, and which of them are seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .scene import Scene

# A keypoint counts as seen up to this share of the view's height behind the visible surface, which
# pixels sample coarsely, but not behind what is thicker than the second number, as a mask is.
SLACK, MOST_SLACK = 0.01, 0.08

Keypoints = Mapping[tuple[int, str], np.ndarray]
"""The keypoints of a picture, by the index of their person and their name: (3,) float32, x, y in
pixels, inside the image or not, and v: 0 outside the image, 1 hidden, 2 visible."""


def find_keypoints(scene: Scene, depth: np.ndarray) -> Keypoints:
    """Projects the keypoints of all solids and compares them with the depth map (H, W)."""
    keys, xy, front = [], [], []
    height, width = depth.shape
    for solid in scene.solids:
        for name, local in (*solid.keypoints.items(), *solid.joints.items()):
            world = solid.to_world(local)
            z = world[2]
            if name in solid.joints:
                z = min(z, float(solid.cast(world[0], world[1])))
            keys.append((solid.person, name))
            xy.append(scene.project(world, (height, width)))
            # What hides the point is nearer: in front of its own solid and the clothes.
            front.append(z - solid.cover)
    points: np.ndarray = np.array(xy, dtype=np.float64).reshape(-1, 2)
    low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
    inside = (low >= 0).all(axis=1) & (high < (width, height)).all(axis=1)
    (x0, y0), (x1, y1) = low[inside].T, high[inside].T
    # All pixels around the point: rounding to one would not be symmetric.
    corners = np.stack([depth[y, x] for y in (y0, y1) for x in (x0, x1)])
    slack = min(SLACK * scene.view_height, MOST_SLACK)
    v = inside.astype(int)
    v[inside] += (np.array(front)[inside] - slack <= corners).any(axis=0)
    rows = np.concatenate([points, v[:, None]], axis=1).astype(np.float32)
    return dict(zip(keys, rows, strict=True))
