"""Damaged files of datasets, read as training, checks and inference read them.

Each test damages one kind of file in many ways and reads it in a process of its own, so that a
crash or a hang of a decoder is seen. ``pytest tests/fuzz --fuzz 200`` tries more of them.
"""

from __future__ import annotations

import gc
import io
import multiprocessing
import random
import struct
import tarfile
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engine.data import LoadImage, LoadLabels
from engine.errors import MMSapiensError
from engine.infer import find_images
from engine.infer.predict import Failure, ImageFiles
from pretrain.datasets import ImageListDataset, TarImageDataset
from seg.surface.reading import read_depth, read_mask, read_normal

HANG = 30  # seconds for one file
SIZE_HW = (40, 56)
METAINFO = {"classes": ("a", "b", "c"), "ignore_index": 255}

# ---- damage: (bytes, random numbers) -> bytes


def flip_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def change_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def zero_block(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    length = min(rng.choice((16, 100, 512)), len(data) - start)
    data[start : start + length] = bytes(length)


def swap_chunks(data: bytearray, rng: random.Random) -> None:
    length = min(rng.choice((8, 100, 600)), len(data) // 3)
    first = rng.randrange(len(data) - 2 * length)
    second = rng.randint(first + length, len(data) - length)
    one, other = data[first : first + length], data[second : second + length]
    data[first : first + length], data[second : second + length] = other, one


def change_size(data: bytearray, rng: random.Random) -> None:
    """Another number in the header, large, negative or zero; a PNG's with the right checksum."""
    number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20, rng.getrandbits(16)))
    if data[:4] == b"\x89PNG":
        place = rng.choice((16, 20))
        struct.pack_into(">I", data, place, number | 1 << 17)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    else:
        place = rng.randrange(min(len(data) - 4, 300))
        struct.pack_into(rng.choice("<>") + "I", data, place, number)


def insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    data[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 7, 512))))


DAMAGE = (flip_bit, change_bytes, truncate, zero_block, swap_chunks, change_size, insert)

# ---- files, and how they are read; what is read must be equal


def picture(channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    waves = [128 + 90 * np.sin(x / (7 + i)) * np.cos(y / (9 - i)) for i in range(channels)]
    noise = np.random.default_rng(0).normal(0, 9, (*SIZE_HW, channels))
    return (np.stack(waves, -1) + noise).clip(1, 255).astype(dtype).squeeze()


def encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def exr() -> bytes:
    openexr = pytest.importorskip("OpenEXR", reason="needs the extra mmsapiens[exr]")
    file = io.BytesIO()
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(header, {"Z": picture(1, np.float32)}).write(file)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for i in range(6):
            data = encoded(".png", picture()[: 20 + i])
            member = tarfile.TarInfo(f"{i}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def load_image(path: Path, **options: Any) -> np.ndarray:
    image = LoadImage(**options)({"img_path": str(path)})["img"]
    return image if isinstance(image, np.ndarray) else image.decode()


def load_labels(path: Path) -> np.ndarray:
    sample = {"seg_map_path": str(path), "ori_size_hw": SIZE_HW, "metainfo": METAINFO}
    return LoadLabels()(sample)["seg_map"]


def load_tar(path: Path) -> dict[str, bytes]:
    pipeline = [{"type": "LoadImage"}]
    dataset = TarImageDataset(str(path.parent), pipeline=pipeline, on_corrupt="raise")
    samples = [dataset[i] for i in range(len(dataset))]
    return {Path(sample["img_path"]).name: sample["img"].tobytes() for sample in samples}


def load_list(path: Path) -> list[str]:
    for name in ("a.png", "é.png", "folder/b.png"):
        (path.parent / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "images" / name).touch()
    dataset = ImageListDataset(str(path.parent / "images"), list_file=str(path))
    return [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]


def infer(path: Path) -> np.ndarray:
    """The failure of an image is a result; the one beside it must be read."""
    cv2.imwrite(str(path.parent / "sound.png"), picture())
    files = ImageFiles(find_images(str(path.parent)), [{"type": "LoadImage"}])
    by_name = {files.images[i].path.name: files[i] for i in range(len(files))}
    assert np.array_equal(by_name["sound.png"]["img"], picture())
    found = by_name[path.name]
    if isinstance(found, Failure):
        raise MMSapiensError(found.reason)
    return found["img"]


LABELS = (picture(1) // 100).astype(np.uint8)
JPEG = encoded(".jpg", picture())
KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], Any]]] = {
    "png image": ("a.png", lambda: encoded(".png", picture()), load_image),
    "png labels": ("a.png", lambda: encoded(".png", LABELS), load_labels),
    "png mask": ("a.png", lambda: encoded(".png", picture(1) // 128), read_mask),
    "png depth": ("a.png", lambda: encoded(".png", picture(1, np.uint16)), read_depth),
    "png in inference": ("a.png", lambda: encoded(".png", picture()), infer),
    "jpeg": ("a.jpg", lambda: JPEG, load_image),
    "jpeg, reduced": ("a.jpg", lambda: JPEG, lambda path: load_image(path, reduce=True)),
    "jpeg, strict": ("a.jpg", lambda: JPEG, lambda path: load_image(path, strict=True)),
    "jpeg, progressive": (
        "a.jpg",
        lambda: encoded(".jpg", picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        lambda path: load_image(path, strict=True),
    ),
    "jpeg in inference": ("a.jpg", lambda: JPEG, infer),
    "webp": ("a.webp", lambda: encoded(".webp", picture()), load_image),
    "bmp": ("a.bmp", lambda: encoded(".bmp", picture()), load_image),
    "tiff, strict": (
        "a.tif",
        lambda: encoded(".tif", picture()),
        lambda path: load_image(path, strict=True),
    ),
    "npy depth": ("a.npy", lambda: npy(picture(1, np.float32)), read_depth),
    "npy mask": ("a.npy", lambda: npy(picture(1) > 128), read_mask),
    "npy normal": (
        "a.npy",
        lambda: npy(picture(3, np.float16)),
        lambda path: read_normal(path, (1, 1, 1)),
    ),
    "exr": ("a.exr", exr, read_depth),
    "tar": ("a.tar", tar, load_tar),
    "list": ("list.txt", lambda: "a.png\né.png\nfolder/b.png\n".encode(), load_list),
}
HAVE_CHECKSUMS = {"png image", "png labels", "png mask", "png depth", "png in inference", "tar"}


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype != bool)
    return one == other


def outcome_of(path: Path, data: bytes, read: Callable, expected: Any) -> str:
    path.write_bytes(data)
    try:
        return "equal" if equal(read(path), expected) else "other"
    except MMSapiensError as error:
        return "error" if path.name in str(error) or "list" in str(error) else f"unnamed: {error}"
    except BaseException:
        return f"traceback: {traceback.format_exc()}"


def read_all(kind: str, folder: Path, mutants: list[bytes], results: Any) -> None:
    """In the process of its own; sends an outcome a file."""
    cv2.setNumThreads(0)
    gc.freeze()  # MMEngine collects garbage for each dataset
    name, make, read = KINDS[kind]
    (folder / name).write_bytes(make())
    expected = read(folder / name)
    for data in mutants:
        results.send(outcome_of(folder / name, data, read, expected))


def try_mutants(kind: str, folder: Path, num: int) -> list[tuple[str, str, bytes]]:
    """Returns (damage, outcome, file) of the damaged files; the first ones are the same always."""
    whole = KINDS[kind][1]()
    rng = random.Random(kind)
    mutants = []
    for i in range(num):
        data = bytearray(whole)
        damage = DAMAGE[i % len(DAMAGE)]
        damage(data, rng)
        mutants.append((damage.__name__, bytes(data)))
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=read_all, args=(kind, folder, [data for _, data in mutants], sender)
    )
    process.start()
    sender.close()
    outcomes = []
    for name, data in mutants:
        try:
            outcome = receiver.recv() if receiver.poll(HANG) else "hang"
        except EOFError:
            outcome = "crash"
        outcomes.append((name, outcome, data))
        if outcome in ("hang", "crash"):
            break
    process.kill()
    process.join()
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_an_error_that_names_the_file(kind, tmp_path, request):
    found = try_mutants(kind, tmp_path, request.config.getoption("--fuzz", 40))
    # Without checksums the best reader cannot know a changed pixel; an end it can see.
    allowed = {"equal", "error"} if kind in HAVE_CHECKSUMS else {"equal", "error", "other"}
    strange = [(damage, outcome) for damage, outcome, _ in found if outcome not in allowed]
    assert not strange, strange[0]
    counts = Counter(outcome for _, outcome, _ in found)
    assert counts["error"] > 0, "some damage is found in every kind"
    if kind != "list":
        cut = {outcome for damage, outcome, _ in found if damage == "truncate"}
        assert "other" not in cut
