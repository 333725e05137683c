"""Renders a scene by analytic ray casting: which solid each pixel sees, then what is seen there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.errors import DataError

from .keypoints import Keypoints, find_keypoints
from .scene import Light, Scene
from .solids import Material, Solid

BACKGROUND = "Background"


@dataclass(frozen=True, eq=False)
class Render:
    """All that is known of a picture. Pixel centres are integers.

    Args:
        image: (H, W, 3) uint8 BGR.
        part: (H, W) uint8, index into ``part_names``; 0 is the background.
        part_names: Names of the parts.
        depth: (H, W) float32, world units from the plane z = 0; inf in the background.
        normal: (H, W, 3) float32, unit, x right, y down, z away from the camera, so that
            visible surfaces have z <= 0; zero in the background.
        person: (H, W) uint8, one more than the index of the person; 0 is the background.
        keypoints: The named points of all persons.
    """

    image: np.ndarray
    part: np.ndarray
    part_names: tuple[str, ...]
    depth: np.ndarray
    normal: np.ndarray
    person: np.ndarray
    keypoints: Keypoints

    def box_of(self, person: int) -> np.ndarray | None:
        """(4,) float32, first and last column and row that show the person, or None."""
        rows, cols = np.nonzero(self.person == person + 1)
        if not len(rows):
            return None
        return np.array([cols.min(), rows.min(), cols.max(), rows.max()], dtype=np.float32)

    def labels(self, table: Mapping[str, int]) -> np.ndarray:
        """Label map (H, W) uint8 by a table from part names to class ids.

        Raises:
            DataError: A part of the scene has no row in the table.
        """
        missing = sorted(set(self.part_names) - set(table))
        if missing:
            raise DataError(
                f"The label table has no class id for the parts {missing} of the scene. "
                f"Add them to the table, which knows {sorted(table)}."
            )
        return np.array([table[name] for name in self.part_names], dtype=np.uint8)[self.part]


def render(scene: Scene, size_hw: tuple[int, int] = (512, 512)) -> Render:
    """Renders a scene.

    Args:
        scene: What to draw.
        size_hw: Height and width in pixels; the height shows ``scene.view_height`` units.
    """
    x, y = scene.axes(size_hw)
    windows = [_window(solid, scene, size_hw) for solid in scene.solids]
    depth = np.full(size_hw, np.inf)
    seen = np.full(size_hw, -1, dtype=np.int16)
    for index, (solid, window) in enumerate(zip(scene.solids, windows, strict=True)):
        if not depth[window].size:  # outside the picture
            continue
        z = solid.cast(x[None, window[1]], y[window[0], None])
        nearer = z < depth[window]
        depth[window][nearer] = z[nearer]
        seen[window][nearer] = index

    names = _part_names(scene)
    rgb = scene.background.paint(x, y)
    part = np.zeros(size_hw, dtype=np.uint8)
    person = np.zeros(size_hw, dtype=np.uint8)
    normal = np.zeros((*size_hw, 3))
    for index in np.unique(seen[seen >= 0]):
        solid, window = scene.solids[index], windows[index]
        rows, cols = np.nonzero(seen[window] == index)
        rows, cols = rows + window[0].start, cols + window[1].start
        local = solid.to_local(x[cols], y[rows], depth[rows, cols])
        unit = solid.normal(local)
        normal[rows, cols] = unit.T
        part[rows, cols] = names.index(solid.part)
        person[rows, cols] = solid.person + 1
        rgb[rows, cols] = _shade(solid.material, local, unit, scene.light)
        for decal in solid.decals:
            inside = np.logical_and.reduce([region.contains(local) for region in decal.regions])
            at = rows[inside], cols[inside]
            part[at] = names.index(decal.part)
            rgb[at] = _shade(decal.material, local[:, inside], unit[:, inside], scene.light)

    return Render(
        image=(np.clip(rgb[..., ::-1], 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8),
        part=part,
        part_names=names,
        depth=depth.astype(np.float32),
        normal=normal.astype(np.float32),
        person=person,
        keypoints=find_keypoints(scene, depth),
    )


def _window(solid: Solid, scene: Scene, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns that can see the solid, with a pixel to spare for rounding."""
    centre = scene.project(solid.centre, size_hw)
    reach = solid.half_extent() / scene.unit(size_hw)
    ends = np.floor(centre - reach) - 1, np.ceil(centre + reach) + 2
    (left, top), (right, bottom) = np.clip(ends, 0, size_hw[::-1]).astype(int)
    return slice(top, bottom), slice(left, right)


def _part_names(scene: Scene) -> tuple[str, ...]:
    """The background and the parts by first appearance, an order that mirroring keeps."""
    names = [BACKGROUND]
    for solid in scene.solids:
        names += [solid.part, *(decal.part for decal in solid.decals)]
    return tuple(dict.fromkeys(names))


def _shade(material: Material, local: np.ndarray, normal: np.ndarray, light: Light) -> np.ndarray:
    """RGB (N, 3) of surface points: half-Lambert diffuse light, Blinn highlight and texture."""
    lx, ly, lz = light.direction
    nx, ny, nz = normal
    facing = 0.5 + 0.5 * (nx * lx + ny * ly + nz * lz)
    if material.wave_depth:
        u, v, w = (a * f for a, f in zip(local, material.wave, strict=True))
        phase = u + v + w
        facing = facing * (1.0 - material.wave_depth * 2.0 * np.abs(phase - np.rint(phase)))
    diffuse = (facing * facing)[:, None] * np.asarray(light.colour)
    # Half way between the light and the camera, which lies towards -z.
    scale = 1.0 / np.sqrt(lx * lx + ly * ly + (lz - 1.0) * (lz - 1.0))
    shine = np.maximum((nx * lx + ny * ly + nz * (lz - 1.0)) * scale, 0.0)
    for _ in range(4):  # to the 16th power
        shine = shine * shine
    ambient = np.asarray(light.ambient) * (1.0 - 0.25 * ny)[:, None]
    return np.asarray(material.colour) * (ambient + diffuse) + (material.gloss * shine)[:, None]
