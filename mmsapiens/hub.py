"""Files of released models: those on this disk, and those that the hub has.

huggingface_hub is imported only when something has to be downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine.errors import MMSapiensError, OutputError, WeightsError
from mmsapiens.zoo import WHOLE_TREE, Released

TORCHSCRIPT = "_torchscript.pt2"
_HUB = "https://huggingface.co"
_LITE = "sapiens_lite_host/torchscript"
_IS_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_CHUNK = 2**20


def checkpoint_root() -> Path:
    """Returns the folder of weights: ``$SAPIENS_CHECKPOINT_ROOT``, by default ``checkpoints``."""
    return Path(os.environ.get("SAPIENS_CHECKPOINT_ROOT") or "checkpoints")


def locate(released: Released, torchscript: bool = False) -> Path | None:
    """Returns the file of a released model on this disk, None if there is none.

    Looked at are, below :func:`checkpoint_root`, the release's tree, the same below
    ``sapiens_host`` (or ``sapiens_lite_host/torchscript``), and the folder itself.

    Args:
        released: The model.
        torchscript: Whether to look for its TorchScript file instead of ``.pth`` or
            ``.safetensors``.
    """
    endings = (TORCHSCRIPT,) if torchscript else (".pth", ".safetensors")
    paths = (
        folder / (stem + ending)
        for folder in _folders(released, torchscript)
        for stem in released.stems
        for ending in endings
    )
    return next((path for path in paths if path.is_file()), None)


def fetch(released: Released, torchscript: bool = False) -> Path:
    """Returns the file of a released model, which is downloaded if it is not there.

    What was interrupted goes on the next time. A file appears under its name when it is complete
    and its checksum right. The licence of the weights is printed to the standard error.

    Args:
        released: The model.
        torchscript: See :func:`locate`.

    Raises:
        WeightsError: It is not there and cannot be downloaded; says why, and where to put it.
        OutputError: There is no room for it, or no right to write.
    """
    return locate(released, torchscript) or _download(released, torchscript)


def _folders(released: Released, torchscript: bool) -> tuple[Path, ...]:
    """Where the file may be; downloads go to the first."""
    root = checkpoint_root()
    if torchscript:
        return root / _LITE / released.folder, root / released.folder, root
    return root / released.folder, root / "sapiens_host" / released.folder, root


class _Trouble(Exception):
    """Why a file cannot be had, and what to do."""

    args: tuple[str, str]


class _Remote(NamedTuple):
    """A file on the hub."""

    repository: str
    path: str
    commit: str
    etag: str
    size: int | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def sources(released: Released, torchscript: bool) -> Iterator[tuple[str, str]]:
    """Yields repositories and paths in them where a file may be, the likeliest first."""
    own = released.torchscript_repository if torchscript else released.repository
    tree = f"{_LITE if torchscript else 'sapiens_host'}/{released.folder}/"
    files = [stem + (TORCHSCRIPT if torchscript else ".pth") for stem in released.stems]
    holds_one_model = own.startswith(f"{WHOLE_TREE}-")
    yield from ((own, file if holds_one_model else tree + file) for file in files)
    yield from ((WHOLE_TREE, tree + file) for file in files)


def _download(released: Released, torchscript: bool) -> Path:
    from huggingface_hub.errors import HTTPError

    folder = _folders(released, torchscript)[0]
    remote = None
    try:
        remote = _find(released, torchscript)
        return _receive(remote, folder, released)
    except MMSapiensError:
        raise
    except OSError as error:
        if error.errno is None:  # of the client, which makes errors of its own OSErrors
            raise _failure(released, torchscript, remote, error) from error
        raise OutputError(
            f"{released.name} could not be written to {folder} ({error.strerror}). Make room, mend "
            "the rights, or set SAPIENS_CHECKPOINT_ROOT to another folder."
        ) from error
    except (HTTPError, _Trouble) as error:
        raise _failure(released, torchscript, remote, error) from error


def _find(released: Released, torchscript: bool) -> _Remote:
    """Asks the hub for each of the sources until it has one."""
    endpoint = _endpoint()  # before what follows, which cannot be imported if it is no address
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError

    refused: Exception | None = None
    for repository, path in sources(released, torchscript):
        try:
            url = hf_hub_url(repository, path, endpoint=endpoint)
            found = get_hf_file_metadata(url, endpoint=endpoint)
        except RemoteEntryNotFoundError:
            continue
        except RepositoryNotFoundError as error:  # or gated
            refused = refused or error
            continue
        if found.commit_hash is None or found.etag is None:
            raise _Trouble(f"what answers at {endpoint} is no hub", "Mend HF_ENDPOINT or the proxy")
        return _Remote(repository, path, found.commit_hash, found.etag, found.size)
    raise refused or _Trouble("the hub has no such file", "Look what it is called there")


def _receive(remote: _Remote, folder: Path, released: Released) -> Path:
    """Downloads what is not there yet; of several processes, one."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    url = hf_hub_url(remote.repository, remote.path, revision=remote.commit, endpoint=_endpoint())
    target = folder / remote.name
    # Of another version of the file, another beginning.
    version = hashlib.sha256(remote.etag.encode()).hexdigest()[:12]
    part = folder / f"{remote.name}.{version}.part"
    lock = folder / f"{remote.name}.lock"
    folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if target.is_file():
            return target
        begun = part.stat().st_size if part.exists() else 0
        if remote.size is not None:
            if begun > remote.size:  # what a server sent too much of
                part.unlink()
                begun = 0
            _require_room(released, folder, remote.size - begun)
        _say_licence(released, remote, folder)
        with part.open("ab") as file:
            http_get(
                url,
                file,
                resume_size=begun,
                headers=build_hf_headers(library_name="mmsapiens"),
                expected_size=remote.size,
                displayed_filename=remote.name,
            )
        if _IS_SHA256(remote.etag) and _sha256(part) != remote.etag:
            part.unlink()
            raise _Trouble("its checksum is wrong, so that it was removed", "Try again")
        part.replace(target)
        lock.unlink(missing_ok=True)
    return target


def _endpoint() -> str:
    """The hub's address; huggingface_hub itself reads it only when it is imported."""
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    if not re.fullmatch(r"https?://[\w.:/-]+", address):
        raise _Trouble(f"HF_ENDPOINT={address} is no address such as {_HUB}", "Mend it")
    return address


def _require_room(released: Released, folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise OutputError(
            f"{released.name} needs {num_bytes / 2**30:.1f} GiB more in {folder}, where only "
            f"{free / 2**30:.1f} GiB are free. Make room, or set SAPIENS_CHECKPOINT_ROOT."
        )


def _say_licence(released: Released, remote: _Remote, folder: Path) -> None:
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(
        f"Downloading {remote.name} from {remote.repository} into {folder}. The licence of these "
        f"weights is {released.licence}: not for products.",
        markup=False,
        highlight=False,
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _failure(
    released: Released, torchscript: bool, remote: _Remote | None, error: Exception
) -> WeightsError:
    """Returns the sentence for what the client raised."""
    if remote is None:
        places = list(sources(released, torchscript))
        repository = places[0][0]
        files = dict.fromkeys(path.rpartition("/")[2] for _, path in places)
    else:
        repository, files = remote.repository, {remote.name: None}
    reason, cure = _reason(error, repository)
    return WeightsError(
        f"{released.name}: {' or '.join(files)} could not be downloaded from {repository}: "
        f"{reason}. {cure}, or put the file into {_folders(released, torchscript)[0]} by hand."
    )


def _reason(error: Exception, repository: str) -> tuple[str, str]:
    """Returns why a download failed, and what to do."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, _Trouble):
        return error.args
    hub = _endpoint()
    login = "set HF_TOKEN to a token of an account that may read it"
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set", "Unset it"
    if isinstance(error, GatedRepoError):
        return "it is gated", f"Accept its terms at {hub}/{repository} and {login}"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403, 404):
            return f"{hub} refuses it ({status})", f"If it needs a login, {login}"
        return f"{hub} answers {status}", "Try again later"
    if isinstance(error, OSError):  # of what is shorter or longer than it should be
        return "it arrived in another size than the hub says", "Try again, which goes on there"
    return f"{hub} does not answer ({error or type(error).__name__})", "Look at the connection"
