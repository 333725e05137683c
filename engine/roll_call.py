"""The roll call of ranks, before data and weights: who is missing, and who differs.

PyTorch waits half an hour for a rank that was not started, and says how many came. Versions that
differ fail later, or do not fail.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from engine.errors import ConfigError, ProcessError
from engine.launch import CHECK_TIMEOUT

DEFAULT_SECONDS = 60.0
_HEARD_SECONDS = 10.0  # the others read what rank 0 holds
_MUST_AGREE = {"device": "device", "driver": "driver", "torch": "PyTorch", "config": "config"}


class Report(NamedTuple):
    """What a rank says of itself; ``config`` is a digest, ``free`` its device's memory in GiB."""

    host: str
    device: str
    driver: str
    torch: str
    config: str
    free: float

    @classmethod
    def this(cls, cfg: Mapping[str, Any]) -> Report:
        """Returns this rank's."""
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(cfg))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        if not torch.cuda.is_available():
            free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            return cls(host, "cpu", "", torch.__version__, digest, free / 2**30)
        gpu = int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()
        free, total = torch.cuda.mem_get_info(gpu)
        device = f"{torch.cuda.get_device_name(gpu)}, {total / 2**30:.0f} GiB"
        return cls(host, device, _driver(), torch.__version__, digest, free / 2**30)

    def __str__(self) -> str:
        driver = f", driver {self.driver}" if self.driver else ""
        return (
            f"{self.host}, {self.device}{driver}, PyTorch {self.torch}, config {self.config}, "
            f"{self.free:.1f} GiB free"
        )


def call_roll(cfg: Mapping[str, Any], dist_cfg: Mapping[str, Any]) -> list[Report]:
    """Waits until all ranks have reported, and returns their reports.

    Over a store of its own at the place where the process group will meet, so before there is one.

    Args:
        cfg: What the ranks must all have.
        dist_cfg: Whose ``check_timeout`` says for how many seconds (60); None for no roll call.

    Raises:
        ConfigError: If that is no positive number.
        ProcessError: On all ranks that are there, naming by host who is not, or who differs.
    """
    seconds = dist_cfg.get(CHECK_TIMEOUT, DEFAULT_SECONDS)
    if seconds is None:
        return []
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise ConfigError(
            "env_cfg.dist_cfg.check_timeout: expected seconds, more than 0, or None for no check; "
            f"found {seconds!r}."
        )
    return _call(Report.this(cfg), seconds)


def _call(report: Report, seconds: float) -> list[Report]:
    rank, num = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = _store(rank, seconds)
    store.set(f"report/{rank}", json.dumps(report))
    if rank == 0:
        reports = _collect(store, num, seconds)
        wrong = _missing(reports, num, seconds) + _differing(reports)
        found = list(reports.values())
        store.set("found", json.dumps([wrong, found]))
        with suppress(dist.DistStoreError):  # the store is gone when this process ends
            heard = [f"heard/{other}" for other in reports if other]
            store.wait(heard or ["found"], timedelta(seconds=_HEARD_SECONDS))
    else:
        try:
            store.wait(["found"], timedelta(seconds=seconds + _HEARD_SECONDS))
            wrong, values = json.loads(store.get("found"))
            store.set(f"heard/{rank}", "")
        except dist.DistError as error:
            raise ProcessError(_no_first_rank(seconds)) from error
        found = [Report(*each) for each in values]
    if wrong:
        raise ProcessError(" ".join(wrong))
    return found


@cache  # it lives as long as the process: the group's store is the same server
def _store(rank: int, seconds: float) -> dist.Store:
    is_first = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=is_first,
            timeout=timedelta(seconds=seconds),
            wait_for_workers=False,
            multi_tenant=is_first,
        )
    except dist.DistNetworkError as error:
        if is_first:
            raise
        raise ProcessError(_no_first_rank(seconds)) from error
    return dist.PrefixStore(f"roll/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def _collect(store: dist.Store, num: int, seconds: float) -> dict[int, Report]:
    deadline = time.monotonic() + seconds
    reports = {}
    for rank in range(num):
        left = timedelta(seconds=max(deadline - time.monotonic(), 0.01))
        with suppress(dist.DistStoreError):
            store.wait([f"report/{rank}"], left)
        if store.check([f"report/{rank}"]):
            reports[rank] = Report(*json.loads(store.get(f"report/{rank}")))
    return reports


def _missing(reports: Mapping[int, Report], num: int, seconds: float) -> list[str]:
    silent = [rank for rank in range(num) if rank not in reports]
    if not silent:
        return []
    return [
        f"{_who(silent, _hosts(reports, num))} did not answer within {seconds:g} s "
        "(env_cfg.dist_cfg.check_timeout): not started, ended, or cut off. Look at the log above, "
        "and at those machines."
    ]


def _differing(reports: Mapping[int, Report]) -> list[str]:
    sentences = []
    hosts = {rank: report.host for rank, report in reports.items()}
    for field, name in _MUST_AGREE.items():
        values = {rank: getattr(report, field) for rank, report in reports.items()}
        usual = Counter(values.values()).most_common(1)[0][0]
        for value in dict.fromkeys(values.values()):
            if value != usual:
                who = _who([rank for rank in values if values[rank] == value], hosts)
                sentences.append(f"{who}: {name} {value or 'none'}, the others have {usual}.")
    if sentences:
        sentences.append("Ranks must be alike, or env_cfg.dist_cfg.check_timeout None.")
    return sentences


def _hosts(reports: Mapping[int, Report], num: int) -> dict[int, str]:
    """Returns the hosts of ranks, also of silent ones: Slurm's, or those of their neighbours."""
    known = {rank: report.host for rank, report in reports.items()}
    tasks = os.environ.get("SLURM_STEP_TASKS_PER_NODE") if "SLURM_PROCID" in os.environ else None
    if tasks:
        words = ["scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]]
        names = subprocess.run(words, capture_output=True, text=True).stdout.split()
        counts = [
            int(count)
            for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks)
            for _ in range(int(times or 1))
        ]
        by_slurm = [name for name, n in zip(names, counts, strict=False) for _ in range(n)]
        return {**dict(enumerate(by_slurm)), **known}
    size = int(os.environ.get("LOCAL_WORLD_SIZE", num))
    neighbours = {rank // size: host for rank, host in known.items()}
    machine = "machine {} of {}"
    return {
        rank: neighbours.get(rank // size, machine.format(rank // size + 1, -(-num // size)))
        for rank in range(num)
    }


def _who(ranks: Iterable[int], hosts: Mapping[int, str]) -> str:
    by_host: dict[str, list[int]] = {}
    for rank in ranks:
        by_host.setdefault(hosts.get(rank, "an unknown machine"), []).append(rank)
    return " and ".join(f"{host} ({_listed(numbers)})" for host, numbers in by_host.items())


def _listed(ranks: Sequence[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _no_first_rank(seconds: float) -> str:
    where = f"{os.environ['MASTER_ADDR']}, port {os.environ['MASTER_PORT']}"
    return (
        f"Rank 0 did not answer at {where} within {seconds:g} s (env_cfg.dist_cfg.check_timeout): "
        "not started, ended, or cut off. Look at its log, and whether this machine can reach it."
    )


def _driver() -> str:
    path = Path("/proc/driver/nvidia/version")
    match = re.search(r"\s(\d+\.[\d.]+)\s", path.read_text()) if path.is_file() else None
    return match[1] if match else ""
