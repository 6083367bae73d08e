"""What this machine can compute on, found without torch: NVIDIA GPUs, Apple's GPU, the CPU.

A device carries the name torch will give it (`cuda:0`, `mps`, `cpu`), its memory now, and every automatic judgement
with its reason. `environment_for` makes an engine process see exactly the devices it was given.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
CPU_INFO = Path("/proc/cpuinfo")
AMPERE = (8, 0)  # the first compute capability whose tensor cores take bf16
MPS_BF16_MACOS = 14  # torch offers bf16 on MPS from this macOS on


@dataclass(frozen=True)
class Device:
    """A place where a run can compute. Memory in bytes, as it is now and as far as this process may use it."""

    id: str  # torch's name: "cpu", "cuda:0" …, "mps"
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    bf16: bool
    bf16_reason: str
    usable: bool = True  # False: the device is there, but the installed torch cannot use it
    note: str = ""
    uuid: str = ""  # of an NVIDIA GPU, the only name of it that no environment variable changes
    cores: int | None = None  # CPU only: the cores this process may use


def devices() -> list[Device]:
    """All devices, GPUs first in torch's order, the CPU last. Never raises for a driver that is missing or ill."""
    gpus, why_none = _nvidia_gpus()
    apple = [] if sys.platform != "darwin" or platform.machine() != "arm64" else [_apple_gpu()]
    return [*gpus, *apple, _cpu(why_none if not gpus and not apple else "")]


def default_device(found: Sequence[Device]) -> tuple[Device, str]:
    """The device to take when nobody chose one, and why: the GPU with the most free memory, else the CPU.

    Raises `ValueError` when `found` holds no usable device.
    """
    usable = [device for device in found if device.usable]
    if not usable:
        raise ValueError("no usable device to choose from")
    cuda = [device for device in usable if device.id.startswith("cuda")]
    if cuda:
        best = max(cuda, key=lambda device: device.memory_free_bytes)  # the first of equals
        free = f"{best.memory_free_bytes / 2**30:.1f} GiB free"
        if len(cuda) == 1:
            return best, f"{best.id}, because it is the only NVIDIA GPU ({free})"
        return best, f"{best.id}, because it has the most free memory of {len(cuda)} GPUs ({free})"
    for device in usable:
        if device.id == "mps":
            return device, "mps, because this Mac has an Apple GPU"
    unusable = [device for device in found if not device.usable]
    why = unusable[0].note if unusable else usable[0].note or "No GPU was found."
    return usable[0], f"{usable[0].id}, for want of a GPU. {why}"


def environment_for(chosen: Sequence[Device]) -> dict[str, str]:
    """Environment variables under which a process sees the `chosen` devices and no other GPU.

    Inside that process the GPUs are numbered `cuda:0`, `cuda:1` … in the order of `chosen`.
    """
    return {"CUDA_VISIBLE_DEVICES": ",".join(device.uuid for device in chosen if device.uuid)}


# ------------------------------------------------------------------------------------------------- NVIDIA, by NVML


def _nvidia_gpus() -> tuple[list[Device], str]:
    """The GPUs that torch will see, and otherwise why there are none."""
    import pynvml  # loads the driver's library only at nvmlInit

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [], f"No NVIDIA GPU was found: {error}."
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        uuids = [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
        mask = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = visible_gpus(uuids, mask)
        found = [_nvidia_gpu(pynvml, f"cuda:{i}", handles[at], uuids[at]) for i, at in enumerate(visible)]
    except pynvml.NVMLError as error:
        return [], f"The NVIDIA driver does not answer: {error}."
    finally:
        pynvml.nvmlShutdown()
    if handles and not found:
        return [], f"CUDA_VISIBLE_DEVICES is {mask!r} and hides the {len(handles)} GPUs of this machine."
    return found, "No NVIDIA GPU was found."


def visible_gpus(uuids: Sequence[str], mask: str | None) -> list[int]:
    """Indices into `uuids` (PCI order) of the GPUs that CUDA shows under CUDA_VISIBLE_DEVICES = `mask`, in its order.

    CUDA's rules: no variable shows all, an empty one none; entries are indices or (the start of) UUIDs; the list ends
    before the first entry that names no GPU; one named twice hides all. Indices are taken in PCI order, which is
    CUDA's own order wherever the GPUs are alike or CUDA_DEVICE_ORDER=PCI_BUS_ID is set.
    """
    if mask is None:
        return list(range(len(uuids)))
    shown: list[int] = []
    for entry in (part.strip() for part in mask.split(",")):
        if entry.startswith("GPU-"):
            named = [i for i, uuid in enumerate(uuids) if uuid.startswith(entry)]
        else:
            number = re.match(r"\d+", entry)  # CUDA reads the leading digits: "1gpu" is 1
            named = [int(number[0])] if number and int(number[0]) < len(uuids) else []
        if len(named) != 1:
            break
        if named[0] in shown:
            return []
        shown += named
    return shown


def _nvidia_gpu(pynvml: Any, device_id: str, handle: Any, uuid: str) -> Device:
    capability = tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle))
    version = ".".join(str(part) for part in capability)
    bf16 = capability >= AMPERE
    build = _torch_gpu_build()
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free, shared = int(memory.total), int(memory.free), ""
    except pynvml.NVMLError_NotSupported:  # the GPU and the CPU share one memory
        (total, free), shared = memory_bytes(), "Shares its memory with the CPU."
    return Device(
        id=device_id,
        name=str(pynvml.nvmlDeviceGetName(handle)),
        memory_total_bytes=total,
        memory_free_bytes=free,
        bf16=bf16,
        bf16_reason=f"compute capability {version} {'has' if bf16 else 'has no'} bf16 (it came with 8.0)",
        usable=build != "cpu",
        note="The installed torch is a CPU build: install one with CUDA to use this GPU." if build == "cpu" else shared,
        uuid=uuid,
    )


@functools.cache
def _torch_gpu_build() -> str:
    """What the installed torch was built for: "cuda", "cpu", or "" where it cannot be told; torch is not imported."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    version_file = Path(spec.origin).with_name("version.py")
    if not version_file.exists():
        return ""
    built = re.search(r"^cuda\b[^=]*=\s*(\S+)", version_file.read_text(encoding="utf-8"), re.MULTILINE)
    if built is None:
        return ""
    return "cpu" if built[1] == "None" else "cuda"


# ------------------------------------------------------------------------------------------------- Apple and the CPU


def _apple_gpu() -> Device:
    total, free = memory_bytes()
    macos = platform.mac_ver()[0]
    bf16 = int(macos.split(".")[0] or 0) >= MPS_BF16_MACOS
    return Device(
        id="mps",
        name="Apple GPU",
        memory_total_bytes=total,
        memory_free_bytes=free,
        bf16=bf16,
        bf16_reason=f"macOS {macos} {'offers' if bf16 else 'does not offer'} bf16 (from {MPS_BF16_MACOS} on)",
        note="Shares its memory with the CPU.",
    )


def _cpu(note: str) -> Device:
    total, free = memory_bytes()
    name, flags = _processor()
    native = sorted(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    cores = usable_cores()
    return Device(
        id="cpu",
        name=name,
        memory_total_bytes=total,
        memory_free_bytes=free,
        bf16=bool(native),
        bf16_reason=f"the CPU has {native[0]}" if native else "the CPU is not known to have bf16 instructions",
        note=note,
        cores=cores,
    )


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its feature flags, as far as the platform tells."""
    text = CPU_INFO.read_text(encoding="utf-8", errors="replace") if CPU_INFO.exists() else ""
    fields = {
        key.strip().lower(): value.strip()
        for key, _, value in (line.partition(":") for line in reversed(text.splitlines()))
    }
    name = fields.get("model name") or platform.processor() or platform.machine() or "CPU"
    return name, set((fields.get("flags") or fields.get("features") or "").split())


def usable_cores() -> int:
    """CPU cores this process may use: its affinity, cut by the quota of its cgroups (a container's, say)."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for group in _own_groups("cpu"):
        quota, period = _cpu_quota(group)
        if quota > 0 and period > 0:
            cores = min(cores, math.ceil(quota / period))
    return max(cores, 1)


def memory_bytes() -> tuple[int, int]:
    """(total, free) main memory that this process may use: the machine's, cut by the memory limits of its cgroups."""
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    for group in _own_groups("memory"):
        limit = _number(group, "memory.max", "memory.limit_in_bytes")
        used = _number(group, "memory.current", "memory.usage_in_bytes")
        if limit is None or limit >= machine.total:
            continue
        total = min(total, limit)
        if used is not None:
            # file cache counts as used, but the kernel gives it back before it runs out
            statistics = _fields(group / "memory.stat")
            reclaimable = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
            free = min(free, max(limit - used + reclaimable, 0))
    return total, min(free, total)


def _own_groups(controller: str) -> list[Path]:
    """Folders of the cgroups that bind this process for `controller`, from its own up to the root; v1 and v2."""
    if not OWN_CGROUPS.exists():
        return []
    folders: list[Path] = []
    for line in OWN_CGROUPS.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controllers if controllers else CGROUPS
        if controllers and not root.exists():
            root = CGROUPS / controller  # v1 mounts "cpu,cpuacct" under either name
        inner = root / path.lstrip("/")
        # inside a container the path may be the host's and not exist here: then the root is the container's own
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root) and folder.exists()]
    return folders


def _number(group: Path, *names: str) -> int | None:
    for name in names:
        words = _words(group / name)
        if words and words[0].isdigit():
            return int(words[0])
    return None


def _cpu_quota(group: Path) -> tuple[int, int]:
    """(quota, period) in µs; a quota of 0 or less is none."""
    words = _words(group / "cpu.max") or _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
    if len(words) != 2 or words[0] in {"max", "-1"}:
        return 0, 0
    return int(words[0]), int(words[1])


def _fields(path: Path) -> Mapping[str, int]:
    words = _words(path)
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def _words(path: Path) -> list[str]:
    """The words of a small kernel file; none where it does not exist or may not be read (then nothing is known)."""
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
