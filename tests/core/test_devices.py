"""What the machine offers: GPUs as torch will number them, memory as far as this process may use it, sleep held off."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from core import devices as devices_module
from core.awake import keep_awake
from core.devices import Device, default_device, devices, environment_for, memory_bytes, usable_cores, visible_gpus

GIB = 2**30
UUIDS = ["GPU-aaaa1111", "GPU-bbbb2222", "GPU-bbcc3333"]


def gpu(index: int, free_gib: float = 8, usable: bool = True) -> Device:
    return Device(
        id=f"cuda:{index}",
        name="GPU",
        memory_total_bytes=24 * GIB,
        memory_free_bytes=int(free_gib * GIB),
        bf16=True,
        bf16_reason="",
        usable=usable,
        note="" if usable else "The installed torch is a CPU build.",
        uuid=UUIDS[index],
    )


CPU = Device("cpu", "CPU", 16 * GIB, 8 * GIB, False, "", note="No NVIDIA GPU was found.", cores=4)


class FakeDriver:
    """NVML as a machine with three different GPUs would answer it."""

    capabilities = ((7, 5), (8, 0), (9, 0))
    free_gib = (4, 8, 16)

    def __init__(self, monkeypatch: pytest.MonkeyPatch, torch_build: str = "cuda") -> None:
        self.open = 0
        for name in (
            "nvmlInit",
            "nvmlShutdown",
            "nvmlDeviceGetCount",
            "nvmlDeviceGetHandleByIndex",
            "nvmlDeviceGetUUID",
            "nvmlDeviceGetName",
            "nvmlDeviceGetCudaComputeCapability",
            "nvmlDeviceGetMemoryInfo",
        ):
            monkeypatch.setattr(pynvml, name, getattr(self, name))
        monkeypatch.setattr(devices_module, "_torch_gpu_build", lambda: torch_build)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(UUIDS)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return UUIDS[handle]

    def nvmlDeviceGetName(self, handle):
        return f"GPU number {handle}"

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self.capabilities[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=24 * GIB, free=self.free_gib[handle] * GIB)


# ------------------------------------------------------------------------------------------------- this machine


def test_the_cpu_is_always_there_and_comes_last():
    cpu = devices()[-1]
    assert cpu.id == "cpu"
    assert cpu.usable
    assert cpu.name
    assert 0 < cpu.memory_free_bytes <= cpu.memory_total_bytes <= psutil.virtual_memory().total
    assert cpu.cores is not None
    assert 1 <= cpu.cores <= (os.cpu_count() or 1)
    assert cpu.bf16_reason


def test_looking_for_devices_does_not_load_torch():
    code = "import sys, core.devices as d; d.devices(); d._torch_gpu_build(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_driver_is_no_error_and_its_reason_is_shown(monkeypatch):
    def no_library():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_library)
    monkeypatch.setattr(sys, "platform", "linux")
    found = devices()
    assert [device.id for device in found] == ["cpu"]
    assert "Not Found" in found[0].note
    assert found[0].note in default_device(found)[1]


# -------------------------------------------------------------------------------------------------------- NVIDIA


def test_gpus_carry_memory_and_bf16_with_its_reason(monkeypatch):
    driver = FakeDriver(monkeypatch)
    turing, ampere, hopper, cpu = devices()
    assert (turing.id, ampere.id, hopper.id, cpu.id) == ("cuda:0", "cuda:1", "cuda:2", "cpu")
    assert (turing.bf16, ampere.bf16, hopper.bf16) == (False, True, True)
    assert "7.5" in turing.bf16_reason
    assert (ampere.memory_total_bytes, ampere.memory_free_bytes) == (24 * GIB, 8 * GIB)
    assert driver.open == 0, "NVML is closed again"


def test_gpus_are_numbered_as_torch_sees_them_under_the_mask(monkeypatch):
    FakeDriver(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    assert [(d.id, d.uuid) for d in devices()[:-1]] == [("cuda:0", UUIDS[2]), ("cuda:1", UUIDS[0])]


def test_a_mask_that_hides_every_gpu_is_told_to_the_user(monkeypatch):
    FakeDriver(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = devices()
    assert [device.id for device in found] == ["cpu"]
    assert "CUDA_VISIBLE_DEVICES" in default_device(found)[1]


@pytest.mark.parametrize(
    ("mask", "shown"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        (" 0 , 1 ", [0, 1]),
        ("0,-1,1", [0]),
        ("0,7,1", [0]),
        ("-1", []),
        ("1,1", []),
        ("GPU-aaaa1111,GPU-bbcc3333", [0, 2]),
        ("GPU-bbb", [1]),  # an abbreviation of one
        ("GPU-bb", []),  # of two
        ("GPU-dddd", []),
        ("none", []),
    ],
)
def test_the_visibility_mask_follows_cudas_rules(mask, shown):
    assert visible_gpus(UUIDS, mask) == shown


def test_a_gpu_that_the_installed_torch_cannot_use_is_listed_but_not_chosen(monkeypatch):
    FakeDriver(monkeypatch, torch_build="cpu")
    found = devices()
    assert [d.usable for d in found] == [False, False, False, True]
    chosen, reason = default_device(found)
    assert chosen.id == "cpu"
    assert "CPU build" in reason


def test_a_gpu_without_memory_of_its_own_shows_the_machines(monkeypatch):
    FakeDriver(monkeypatch)

    def shared(_):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", shared)
    found = devices()
    assert found[0].memory_total_bytes == found[-1].memory_total_bytes
    assert "Shares" in found[0].note


@pytest.mark.parametrize(
    ("line", "build"), [("cuda: Optional[str] = None", "cpu"), ("cuda: str = '13.0'", "cuda"), ("", "")]
)
def test_the_build_of_torch_is_read_without_importing_it(tmp_path, monkeypatch, line, build):
    (tmp_path / "version.py").write_text(f"__version__ = '2.13.0'\n{line}\nhip = None\n", encoding="utf-8")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(devices_module.importlib.util, "find_spec", lambda _: spec)
    assert devices_module._torch_gpu_build.__wrapped__() == build


@pytest.mark.parametrize(("macos", "bf16"), [("13.6", False), ("14.0", True), ("26.1", True)])
def test_an_apple_gpu_is_listed_before_the_cpu(monkeypatch, macos, bf16):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(devices_module.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(devices_module.platform, "mac_ver", lambda: (macos, ("", "", ""), "arm64"))
    found = devices()
    assert [device.id for device in found][-2:] == ["mps", "cpu"]
    assert found[-2].bf16 is bf16
    assert macos in found[-2].bf16_reason


# ------------------------------------------------------------------------------------------------------- choosing


def test_the_default_is_the_gpu_with_the_most_free_memory():
    chosen, reason = default_device([gpu(0, 4), gpu(1, 16), gpu(2, 16), CPU])
    assert chosen.id == "cuda:1"
    assert "most free memory of 3 GPUs (16.0 GiB free)" in reason


def test_the_default_falls_back_to_apple_then_to_the_cpu():
    mps = Device("mps", "Apple GPU", 16 * GIB, 8 * GIB, True, "")
    assert default_device([mps, CPU])[0] is mps
    assert default_device([gpu(0, usable=False), CPU])[0] is CPU
    with pytest.raises(ValueError, match="no usable device"):
        default_device([gpu(0, usable=False)])


def test_an_engine_is_shown_its_own_gpus_and_no_others():
    assert environment_for([gpu(2), gpu(0)]) == {"CUDA_VISIBLE_DEVICES": "GPU-bbcc3333,GPU-aaaa1111"}
    assert visible_gpus(UUIDS, environment_for([gpu(2), gpu(0)])["CUDA_VISIBLE_DEVICES"]) == [2, 0]
    assert environment_for([CPU]) == {"CUDA_VISIBLE_DEVICES": ""}


# -------------------------------------------------------------------------------------------------------- limits


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Lays out cgroup files; `write(membership, {path: text})`."""
    monkeypatch.setattr(devices_module, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(devices_module, "OWN_CGROUPS", tmp_path / "self")

    def write(membership: str, files: dict[str, str]) -> None:
        (tmp_path / "self").write_text(membership, encoding="utf-8")
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return write


def test_memory_is_cut_to_the_tightest_cgroup_above_us(cgroups):
    own = {"memory.max": "max\n", "memory.current": "1\n"}
    above = {"memory.max": "1000000\n", "memory.current": "900000\n", "memory.stat": "anon 5\ninactive_file 50000\n"}
    cgroups("0::/box/run\n", {f"box/run/{k}": v for k, v in own.items()} | {f"box/{k}": v for k, v in above.items()})
    assert memory_bytes() == (1_000_000, 150_000)  # the file cache can be taken back


def test_memory_limits_of_cgroup_v1_count_too(cgroups):
    files = {"limit_in_bytes": "1000000\n", "usage_in_bytes": "400000\n"}
    cgroups("4:memory:/host/path\n0::/\n", {f"memory/memory.{name}": text for name, text in files.items()})
    assert memory_bytes() == (1_000_000, 600_000)


def test_an_unlimited_cgroup_leaves_the_machines_memory(cgroups):
    cgroups("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert memory_bytes()[0] == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}),
        (
            "1:cpu,cpuacct:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        ),
        ("1:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}),
    ],
)
def test_half_a_core_of_quota_is_one_core(cgroups, membership, files):
    cgroups(membership, files)
    assert usable_cores() == 1


def test_cores_without_a_quota_are_those_of_the_affinity(cgroups, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    cgroups("0::/\n", {"cpu.max": "max 100000\n"})
    assert usable_cores() == 6
    cgroups("0::/\n", {"cpu.max": "250000 100000\n"})
    assert usable_cores() == 3


# --------------------------------------------------------------------------------------------------------- sleep


def test_sleep_is_held_off_and_the_means_is_named(monkeypatch):
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "1")
    with keep_awake() as awake:
        assert awake.active
        assert awake.method
        assert awake.method in awake.reason


def test_a_machine_that_cannot_be_kept_awake_says_so_and_the_run_goes_on(monkeypatch):
    monkeypatch.delenv("WAKEPY_FAKE_SUCCESS", raising=False)
    monkeypatch.setenv("WAKEPY_FORCE_FAILURE", "1")
    with keep_awake() as awake:
        assert not awake.active
        assert awake.method is None
        assert "may fall asleep" in awake.reason
        assert awake.details


def test_a_failing_run_is_not_swallowed(monkeypatch):
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "1")
    with pytest.raises(RuntimeError, match="the run's own"), keep_awake():
        raise RuntimeError("the run's own")


def test_a_desktop_session_that_ended_meanwhile_does_not_end_the_runner(monkeypatch, caplog):
    from wakepy.core import mode

    def gone(*_):
        raise RuntimeError("the session bus is gone")

    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "1")
    monkeypatch.setattr(mode, "deactivate_method", gone)
    with caplog.at_level(logging.WARNING, "core.awake"), keep_awake() as awake:
        assert awake.active
    assert "the session bus is gone" in caplog.text
