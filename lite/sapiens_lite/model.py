"""Exported files of every kind, opened as one: uint8 images in, float32 maps out."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapiens_lite.console import LiteError, say
from sapiens_lite.spec import (
    METADATA,
    Spec,
    check_task,
    named_task,
    parse_metadata,
    released_spec,
)

Forward = Callable[[NDArray], NDArray[np.float32]]
"""Maps images (B, 3, H, W), as the file takes them, to its raw output (B, C, h, w)."""

_NO_EXPORT = "Export it: mmsapiens export CONFIG CHECKPOINT --format torchscript"
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


@dataclass(frozen=True, eq=False)
class Model:
    """An exported file that runs.

    Attributes:
        spec: What it takes and gives.
        forward: See :data:`Forward`.
    """

    spec: Spec
    forward: Forward

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Maps images (B, 3, H, W) RGB to the raw output (B, C, h, w)."""
        batch = self.spec.batch or len(images)
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        return np.concatenate([self._of_part(part, batch) for part in parts])

    def _of_part(self, images: NDArray[np.uint8], batch: int) -> NDArray[np.float32]:
        """Fills a batch that is too small with black images."""
        missing = batch - len(images)
        if missing:
            black = np.zeros((missing, *images.shape[1:]), np.uint8)
            return self.forward(np.concatenate([images, black]))[:-missing]
        return self.forward(images)


def open_model(
    path: Path,
    task: str,
    device: str | None = None,
    size_hw: tuple[int, int] | None = None,
    fp16: bool = False,
    batch_size: int = 1,
) -> Model:
    """Opens an exported file.

    Args:
        path: TorchScript, a program of torch.export or AOTInductor (``.pt2``), or ``.onnx``.
        task: That it must be of.
        device: Where it runs; None is the first GPU, or the CPU, which is then said.
        size_hw: Of its input; None is that of the file, or the released models'.
        fp16: Compute in half precision.
        batch_size: How many images it will get at once.

    Raises:
        LiteError: If it cannot be opened, is of another task or size, or is no export.
    """
    kind = kind_of(path)
    session = _open_onnx(path, device, fp16) if kind == "onnx" else None
    text = session.get_modelmeta().custom_metadata_map.get("mmsapiens") if session else None
    text = text or (None if session else _metadata_in(path, kind))
    spec = parse_metadata(text, path) if text else None
    if spec is not None:
        check_task(spec, task, path)
        if size_hw not in (None, spec.size_hw):
            raise LiteError(
                f"{path} takes {_by(spec.size_hw)} (height x width), --shape is {_by(size_hw)}. "
                "Leave --shape out, or export the model with that shape."
            )
    known = spec or Spec(task, size_hw or ((1024, 1024) if task == "features" else (1024, 768)))
    if session is not None:
        forward = _onnx_forward(session, known, path)
    else:
        forward = _torch_forward(path, kind, known, device, fp16)
    return Model(spec, forward) if spec else _try_released(path, task, forward, known, batch_size)


def kind_of(path: Path) -> str:
    """Returns ``torchscript``, ``pt2``, ``aot`` or ``onnx``.

    Raises:
        LiteError: If it is none of these.
    """
    if not path.is_file():
        raise LiteError(f"{path} does not exist; expected an exported model, .pt2 or .onnx.")
    if path.suffix.lower() == ".onnx":
        return "onnx"
    if path.suffix.lower() == ".safetensors":
        raise LiteError(f"{path} holds weights alone, and no model. {_NO_EXPORT}.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            last = {name.rpartition("/")[2] for name in names}
            version = archive.read("version").decode() if "version" in names else ""
    except (zipfile.BadZipFile, OSError) as error:
        if path.suffix.lower() in (".pt2", ".pt", ".ts"):
            raise LiteError(
                f"{path} ({path.stat().st_size} bytes) is cut short or damaged: {error}. Copy or "
                "download it again."
            ) from error
        raise LiteError(f"{path} is no exported model. {_NO_EXPORT}.") from error
    if "constants.pkl" in last:
        return "torchscript"
    if "serialized_exported_program.json" in last:
        made = " 2.3" if path.stem.endswith("_bfloat16") else ""
        raise LiteError(
            f"{path} was made by torch.export of an old torch{made} (schema {version.strip()}), "
            "and only that torch reads it. Take the *_torchscript.pt2 of the same model, or export "
            "its .pth anew: mmsapiens export CONFIG CHECKPOINT --format pt2 --dtype bfloat16."
        )
    if any("/aotinductor/" in name for name in names):
        return "aot"
    if "archive_format" in last:
        return "pt2"
    raise LiteError(f"{path} is a checkpoint, weights without their model. {_NO_EXPORT}.")


def _metadata_in(path: Path, kind: str) -> str | None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.rpartition("/")[2] == METADATA:
                return archive.read(name).decode()
    beside = [path.with_suffix(".json"), path.with_name(f"{path.name}.json")]
    found = next((p for p in beside if p.is_file()), None) if kind == "aot" else None
    return found.read_text(encoding="utf-8") if found else None


def _try_released(path: Path, task: str, forward: Forward, spec: Spec, batch_size: int) -> Model:
    """Runs a file without metadata: by its output its task is known, and how many it takes.

    The trial takes the time of three images; with a batch size of 1, that of one.
    """
    named = named_task(path)
    if named not in (None, task):
        check_task(replace(spec, task=named), task, path)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (min(batch_size, 2), 3, *spec.size_hw), np.uint8)
    try:
        first = forward(images[:1])
    except Exception as error:  # of many kinds, with the traceback of the traced code
        raise LiteError(
            f"{path} does not run with images of {_by(spec.size_hw)} (height x width): "
            f"{_last_line(error)} Give --shape as it was exported with; released ones have "
            "1024 768, of pretraining 1024 1024."
        ) from error
    if first.ndim != 4:
        raise LiteError(f"{path} gives an output of {first.shape}; expected maps (1, C, h, w).")
    found = released_spec(path, first.shape[1], spec.size_hw)
    check_task(found, task, path)
    if len(images) == 1:
        return Model(replace(found, batch=1), forward)
    try:
        both = forward(images)
        scale = float(np.abs(first).max()) or 1.0
        takes_more = both.shape[0] == len(images) and np.abs(both[:1] - first).max() < 0.01 * scale
    except Exception:  # what a trace of one image does with two
        takes_more = False
    if not takes_more:
        say(f"{path} takes one image at a time; --batch_size {batch_size} has no effect.")
    return Model(found if takes_more else replace(found, batch=1), forward)


def _torch_forward(
    path: Path, kind: str, spec: Spec, device_name: str | None, fp16: bool
) -> Forward:
    """Opens a file of torch."""
    try:
        import torch
    except ImportError as error:
        raise LiteError(f"{path} needs torch: pip install torch; or take an .onnx file.") from error
    device = torch.device(_torch_device(torch, device_name))
    if fp16 and spec.dtype != "float16" and (kind != "torchscript" or spec.normalises):
        raise LiteError(
            f"{path} computes in {spec.dtype}, which is part of the program: export it with "
            "--dtype float16, and leave out --fp16."
        )
    try:
        module = _load_torch(torch, path, kind, device)
    except Exception as error:  # zip, schema, missing operators: classes have no common base
        raise LiteError(
            f"{path} cannot be opened by torch {torch.__version__}: {_last_line(error)} It was "
            f"made by torch {spec.torch or 'of an unknown version'}, or is damaged: export it with "
            "this one, or copy it again."
        ) from error
    dtype = torch.float16 if fp16 else getattr(torch, spec.dtype)
    if fp16:
        module = module.half()
    mean = torch.tensor(spec.mean, device=device).view(3, 1, 1)
    std = torch.tensor(spec.std, device=device).view(3, 1, 1)

    def forward(images: NDArray) -> NDArray[np.float32]:
        with torch.inference_mode():
            inputs = torch.from_numpy(np.ascontiguousarray(images)).to(device)
            if not spec.normalises:
                inputs = ((inputs.float() - mean) / std).to(dtype)
            output = module(inputs)
            output = output[-1] if isinstance(output, tuple | list) else output
            return output.float().cpu().numpy()

    return forward


def _load_torch(torch: Any, path: Path, kind: str, device: Any) -> Any:
    if kind == "torchscript":
        return torch.jit.load(str(path), map_location=device).eval()
    if kind == "aot":
        return torch._inductor.aoti_load_package(str(path))
    program = torch.export.load(str(path))
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, str(device))
    return program.module()


def _torch_device(torch: Any, name: str | None) -> str:
    if name is None:
        if torch.cuda.is_available():
            return "cuda:0"
        say("No GPU is there; the model runs on the CPU.")
        return "cpu"
    try:
        torch.zeros(1, device=name)
    except Exception as error:  # RuntimeError, AssertionError, ...
        raise LiteError(f"--device {name} is not there: {_last_line(error)}") from error
    return name


def _open_onnx(path: Path, device: str | None, fp16: bool) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise LiteError(f"{path} needs ONNX Runtime: pip install onnxruntime.") from error
    if fp16:
        raise LiteError(f"{path}: export it with --dtype float16, and leave out --fp16.")
    has_gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    kind, _, number = (device or ("cuda:0" if has_gpu else "cpu")).partition(":")
    if device is None and not has_gpu:
        say("This ONNX Runtime has no GPU; the model runs on the CPU.")
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not has_gpu):
        raise LiteError(
            f"--device {device}: this ONNX Runtime has {onnxruntime.get_available_providers()}; "
            "give --device cpu, or install onnxruntime-gpu."
        )
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(number or 0)}))
    try:
        return onnxruntime.InferenceSession(str(path), providers=providers)
    except Exception as error:  # its classes have no common base
        raise LiteError(
            f"{path} cannot be opened by ONNX Runtime {onnxruntime.__version__}: "
            f"{_last_line(error)} It is damaged, or its .data file is not beside it."
        ) from error


def _onnx_forward(session: Any, spec: Spec, path: Path) -> Forward:
    (inputs,) = session.get_inputs()[:1]
    dtype = _ONNX_TYPES.get(inputs.type)
    if dtype is None or (dtype == "uint8") != spec.normalises:
        raise LiteError(
            f"{path} takes {inputs.type}, which NumPy has not, or not what its metadata say. "
            "Export it with --dtype float32 or float16."
        )
    mean = np.array(spec.mean, np.float32).reshape(3, 1, 1)
    std = np.array(spec.std, np.float32).reshape(3, 1, 1)

    def forward(images: NDArray) -> NDArray[np.float32]:
        if not spec.normalises:
            images = ((images.astype(np.float32) - mean) / std).astype(dtype)
        (output,) = session.run([session.get_outputs()[-1].name], {inputs.name: images})
        return np.asarray(output, np.float32)

    return forward


def _last_line(error: Exception) -> str:
    """The last line of what torch says, which is the reason; a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _by(size_hw: tuple[int, int] | None) -> str:
    assert size_hw is not None
    return f"{size_hw[0]}x{size_hw[1]}"
