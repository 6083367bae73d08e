"""How fast a machine computes, reads its memory, and lets a model write. Told by the driver, measured, or an order of magnitude."""

from __future__ import annotations

import ctypes
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from core.devices import Device, usable_cores
from core.numbers import bytes_text


class Figure(BaseModel):
    """A number with the band in which the truth is expected, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    reason: str


CPU_FLOPS_PER_CORE = 30e9  # measured, float32, on models of 1M to 13M: 25 to 66 GFLOP/s a core of an AMD EPYC
# bf16 matrix units against float32 on the same chip, and the share of the peak that training reaches
DATA_CENTRE_GPUS = ("A100", "A800", "H100", "H200", "H800", "GH200", "B100", "B200", "GB200", "A30")
GPU_UTILISATION = 0.35


def compute_speed(device: Device, bf16: bool) -> Figure:
    """FLOP/s that training reaches on the device. An order of magnitude: small models leave a GPU mostly idle."""
    if device.id.startswith("cuda") and (peak := _gpu_peak(device, bf16)):
        value = GPU_UTILISATION * peak
        reason = (
            f"{GPU_UTILISATION:.0%} of the {peak / 1e12:.0f} TFLOP/s of its cores and clock; small models reach less"
        )
        return Figure(value=value, low=value / 5, high=value * 1.6, reason=reason)
    cores = device.cores or usable_cores()
    value = CPU_FLOPS_PER_CORE * cores
    reason = f"{cores} cores at {CPU_FLOPS_PER_CORE / 1e9:.0f} GFLOP/s, measured on models of 1M to 13M on an AMD EPYC"
    if device.id != "cpu":
        value, reason = 2e12, f"{device.name} tells nothing of its speed: 2 TFLOP/s is a guess"
    return Figure(value=value, low=value / 2.5, high=value * 2, reason=reason)


def _gpu_peak(device: Device, bf16: bool) -> float | None:
    """FLOP/s from the number of cores and the clock: a multiply-add each a cycle; matrix units take bf16 faster."""
    told = _ask_nvml(device)
    if told is None:
        return None
    faster = 1 if not bf16 else 15 if any(name in device.name for name in DATA_CENTRE_GPUS) else 2
    return 2.0 * told["cores"] * told["clock_hz"] * faster


def _ask_nvml(device: Device) -> dict[str, float] | None:
    """Cores, core clock (Hz) and memory bandwidth (bytes/s, two transfers a cycle) of an NVIDIA GPU, if it tells."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(device.uuid)
            memory_clock = 1e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
            return {
                "cores": float(pynvml.nvmlDeviceGetNumGpuCores(handle)),
                "clock_hz": 1e6 * pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
                "bandwidth": 2 * memory_clock * pynvml.nvmlDeviceGetMemoryBusWidth(handle) / 8,
            }
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None


COPIED_BYTES = 64 * 2**20  # several times a usual last-level cache


def memory_bandwidth(device: Device) -> Figure:
    """Bytes of memory that the device reads in a second: told by an NVIDIA GPU, measured for a CPU (about 0.1 s)."""
    if device.id.startswith("cuda") and (told := _ask_nvml(device)):
        value = told["bandwidth"]
        return Figure(
            value=value, low=0.8 * value, high=value, reason="the GPU's memory clock and the width of its bus"
        )
    value = _measured_bandwidth()
    reason = f"measured by copying {bytes_text(COPIED_BYTES)} five times, the median, rounded"
    return Figure(value=value, low=value / 1.5, high=1.5 * value, reason=reason)


@lru_cache(maxsize=1)
def _measured_bandwidth() -> float:
    """Bytes read and written in a second by copies on all cores, to one digit: a busy machine gives no more."""
    cores = min(8, usable_cores())
    part = COPIED_BYTES // cores
    pairs = [((ctypes.c_char * part)(), (ctypes.c_char * part)()) for _ in range(cores)]
    for source, _ in pairs:
        ctypes.memset(source, 1, part)  # else all pages are the kernel's one page of zeros
    seconds = []
    with ThreadPoolExecutor(cores) as pool:  # memmove lets go of the interpreter lock
        for _ in range(6):
            began = time.perf_counter()
            list(pool.map(lambda pair: ctypes.memmove(pair[1], pair[0], part), pairs))
            seconds.append(time.perf_counter() - began)
    return float(f"{2 * part * cores / statistics.median(seconds[1:]):.1g}")  # the first one touches the pages


DECODING_SHARE = 0.6  # ours: of the bandwidth, while a model writes


def parameters_for_speed(tokens_per_second: float, bytes_per_parameter: float, bandwidth: Figure) -> Figure:
    """The size of a model that writes so fast: every token reads all weights once, and memory is what limits it.

    parameters ≈ 0.6 · bandwidth / (tokens/s · bytes a parameter), for one text at a time.
    """
    scale = 1 / (tokens_per_second * bytes_per_parameter)
    value = DECODING_SHARE * bandwidth.value * scale
    return Figure(
        value=value,
        low=0.35 * bandwidth.low * scale,
        high=0.9 * bandwidth.high * scale,
        reason=(
            f"writing reads every weight once a token, so memory is the limit: {DECODING_SHARE:.0%} of "
            f"{bytes_text(bandwidth.value)}/s ({bandwidth.reason}) ÷ {tokens_per_second:g} tokens/s ÷ "
            f"{bytes_per_parameter:g} bytes a parameter; below some 100M parameters the program around the model "
            "takes longer than the memory, and the text comes slower"
        ),
    )
