"""MMEngine's CheckpointHook makes a deprecated FileClient that it never uses, and warns of it."""

from __future__ import annotations

from typing import Any

from mmengine.fileio import FileClient

_infer_client = FileClient.infer_client


def _infer_if_asked(file_client_args: dict | None = None, uri: Any = None) -> FileClient | None:
    """Without arguments MMEngine's hooks work with a file backend, and leave the client alone."""
    return None if file_client_args is None else _infer_client(file_client_args, uri)


FileClient.infer_client = staticmethod(_infer_if_asked)  # type: ignore[assignment, method-assign]
