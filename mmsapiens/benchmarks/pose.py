"""How long heatmaps take to draw and to read, next to the release's way: one keypoint at a time.

And what 4K pictures cost: see ``pose_pictures.py``.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import torch
from mmengine.registry import MODELS, init_default_scope
from numpy.typing import NDArray
from rich.console import Console

from engine.config import load_config
from engine.tables import format_table
from mmsapiens.benchmarks.pose_pictures import measure as measure_pictures
from mmsapiens.benchmarks.timing import best_seconds
from pose.codec import UDPHeatmap


def run(args: argparse.Namespace) -> None:
    """Measures the codec of a config's model and prints the result."""
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    head = model.head
    seconds = measure(head.decoder, head.out_channels, args.batch_size, args.rounds)
    width, height = head.decoder.heatmap_size_wh
    console = Console(highlight=False, soft_wrap=True)
    heatmaps = f"{args.batch_size} x {head.out_channels} heatmaps of {height}x{width}"
    console.print(f"{heatmaps}, one thread\n")
    rows = []
    for name, task in (("draw (NumPy)", "encode"), ("read (OpenCV)", "decode")):
        ours, theirs = seconds[task], seconds[f"{task} one by one"]
        rows.append((name, f"{1000 * ours:.0f}", f"{1000 * theirs:.0f}", f"{theirs / ours:.1f}"))
    console.print(format_table(("", "ours, ms", "one by one, ms", "ratio"), rows), end="\n\n")
    pictures = measure_pictures(model.metainfo, head.decoder.input_size_wh[::-1], args.rounds)
    milliseconds = [(name, f"{1000 * best:.0f}") for name, best in pictures.items()]
    console.print(format_table(("a picture of 3840x2160, one thread", "ms"), milliseconds))


def measure(
    codec: UDPHeatmap, num_keypoints: int, batch_size: int = 16, rounds: int = 3, seed: int = 0
) -> dict[str, float]:
    """Times a codec and the loops below on the same keypoints, in turns.

    Args:
        codec: What is timed.
        num_keypoints: K.
        batch_size: People a batch.
        rounds: Turns each of the four gets.
        seed: Of the keypoints, which lie anywhere in the input, and of the heatmaps' noise.

    Returns:
        Seconds a batch takes on one CPU thread, by task; the best of all rounds.
    """
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor(codec.input_size_wh)
    keypoints = torch.rand(batch_size, num_keypoints, 2, generator=generator) * size
    visible = torch.ones(batch_size, num_keypoints)
    heatmaps, _ = codec.encode(keypoints, visible)
    heatmaps += 0.01 * torch.rand(heatmaps.shape, generator=generator)
    tasks = {
        "encode": lambda: codec.encode(keypoints, visible),
        "encode one by one": lambda: encode_one_by_one(codec, keypoints.numpy()),
        "decode": lambda: codec.decode(heatmaps),
        "decode one by one": lambda: decode_one_by_one(heatmaps.numpy()),
    }
    return best_seconds(tasks, rounds)


def encode_one_by_one(codec: UDPHeatmap, keypoints: NDArray) -> NDArray[np.float32]:
    """Draws the heatmaps (B, K, h, w) of visible keypoints (B, K, 2) into one zeroed array."""
    w, h = codec.heatmap_size_wh
    radius = int(3 * codec.sigma)
    heatmaps = np.zeros((*keypoints.shape[:2], h, w), np.float32)
    centers = keypoints / np.array(codec.stride_xy, np.float32)
    for index in np.ndindex(keypoints.shape[:2]):
        mu_x, mu_y = centers[index]
        x, y = int(mu_x + 0.5), int(mu_y + 0.5)
        xs = np.arange(max(x - radius, 0), min(x + radius + 1, w), dtype=np.float32)
        ys = np.arange(max(y - radius, 0), min(y + radius + 1, h), dtype=np.float32)
        if len(xs) and len(ys):
            squared = (xs - mu_x) ** 2 + (ys[:, None] - mu_y) ** 2
            box = np.s_[int(ys[0]) : int(ys[-1]) + 1, int(xs[0]) : int(xs[-1]) + 1]
            heatmaps[index][box] = np.exp(-squared / (2 * codec.sigma**2))
    return heatmaps


def decode_one_by_one(heatmaps: NDArray, kernel: int = 11) -> NDArray[np.float64]:
    """Reads points (B, K, 2), in heatmap pixels, off heatmaps (B, K, h, w) with positive peaks."""
    points = np.empty((*heatmaps.shape[:2], 2))
    pad = kernel // 2
    for index in np.ndindex(heatmaps.shape[:2]):
        heatmap = heatmaps[index]
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        blurred = cv2.GaussianBlur(np.pad(heatmap, pad), (kernel, kernel), 0)[pad:-pad, pad:-pad]
        blurred = blurred * (heatmap[y, x] / blurred.max())
        logs = np.pad(np.log(np.clip(blurred, 1e-3, 50)), 1, mode="edge")
        around = logs[y : y + 3, x : x + 3].astype(np.float64)
        gradient = [(around[1, 2] - around[1, 0]) / 2, (around[2, 1] - around[0, 1]) / 2]
        dxx, dyy = np.diff(around[1], 2)[0], np.diff(around[:, 1], 2)[0]
        dxy = around[[0, 1, 1, 2], [0, 1, 1, 2]].sum() - around[[0, 1, 1, 2], [1, 0, 2, 1]].sum()
        hessian = np.array([[dxx, dxy / 2], [dxy / 2, dyy]]) + np.finfo(np.float32).eps * np.eye(2)
        points[index] = [x, y] - np.linalg.solve(hessian, gradient)
    return points
