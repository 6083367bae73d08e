"""What the student must be: a share, a size, memory, a speed or a folder, read from a wish and turned into parameters; and where it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from core.devices import Device, default_device, devices
from core.errors import BadModel, BadRecipe, Trouble
from core.model_files import read_config
from core.model_folders import resolve_model
from core.models import inspect_model
from core.numbers import bytes_text, count_text, parse_count
from core.shapes import count_parameters
from core.speed import Figure, memory_bandwidth, parameters_for_speed

# Bytes a parameter. The integers are stored in blocks of 32 with a 16-bit scale, as in Q8_0 and Q4_0.
PRECISION_BYTES = {"float32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.0625, "int4": 0.5625}
_PRECISION_NAMES = {"fp32": "float32", "f32": "float32", "bfloat16": "bf16", "float16": "fp16", "f16": "fp16"}
_NUMBER = r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*"
_AT = r"\s*(?:@\s*(?P<precision>\w+))?"
_SHARE = re.compile(_NUMBER + r"(?P<unit>x|×|%)", re.IGNORECASE)
_MEMORY = re.compile(_NUMBER + r"(?P<unit>[kmgt]i?b)" + _AT, re.IGNORECASE)
_SPEED = re.compile(_NUMBER + r"(?:tok|tokens|t)/s" + _AT, re.IGNORECASE)
UNDERSTOOD = (
    "Write a share of the teacher (0.4x), a size (1.3M, 3B, 350000), memory at a precision (2GB, 2GB@int4), "
    "a speed on this machine (30tok/s), or the folder of a model."
)


class Target(BaseModel):
    """What the student must be. `value` is a share, a count of parameters, bytes, or tokens a second."""

    model_config = ConfigDict(frozen=True)

    text: str
    kind: Literal["share", "size", "memory", "speed", "folder"]
    value: float = 0.0
    precision: str = "bf16"  # of the weights, for memory and speed
    path: Path | None = None

    def parameters(self, teacher_params: int | None = None, bandwidth: Figure | None = None) -> int:
        """The size in parameters. A share needs the teacher's, a speed the memory bandwidth of the device.

        Raises BadRecipe where that is missing, and BadModel for a folder that is no model.
        """
        return self.explained(teacher_params, bandwidth)[0]

    def explained(self, teacher_params: int | None = None, bandwidth: Figure | None = None) -> tuple[int, str]:
        """The size in parameters and how it follows from what was asked."""
        bytes_each = PRECISION_BYTES[self.precision]
        if self.kind == "share":
            if teacher_params is None:
                raise BadRecipe(
                    f"student: {self.text} is a share of the teacher, and there is none.",
                    "Name a teacher, or give the student's size (1.3M).",
                )
            size, reason = (
                self.value * teacher_params,
                f"{self.value:.3g} of the teacher's {count_text(teacher_params)}",
            )
        elif self.kind == "memory":
            size, reason = self.value / bytes_each, f"weights at {bytes_each:g} bytes a parameter ({self.precision})"
        elif self.kind == "speed":
            if bandwidth is None:
                raise BadRecipe(f"student: {self.text} needs the memory bandwidth of a device.", "Name the device.")
            figure = parameters_for_speed(self.value, bytes_each, bandwidth)
            band = f"between {count_text(figure.low)} and {count_text(figure.high)}"
            size, reason = figure.value, f"{band}: {figure.reason}"
        elif self.path is not None:
            size, reason = _folder_parameters(self.path), f"counted in {self.path.name}"
        else:
            size, reason = self.value, "as asked"
        if size < 1:
            raise BadRecipe(f"student: {self.text} leaves no room for a single parameter.", UNDERSTOOD)
        return round(size), reason


def parse_target(text: str) -> Target:
    """Read what the student must be. Raises BadRecipe, saying what is understood, for anything else.

    >>> parse_target("2GB@int4").kind
    'memory'
    """
    wish = text.strip()
    return _parse_amount(wish) or _parse_folder(wish)


def parse_amount(text: str) -> Target | None:
    """The share, size, memory or speed that a text says, or None where it says none. Raises BadRecipe as `parse_target`."""
    return _parse_amount(text.strip())


def restate(
    kind: Literal["share", "size", "memory", "speed"],
    parameters: int,
    teacher_params: int | None = None,
    precision: str = "bf16",
    device: str = "auto",
) -> str:
    """A student of this size said in another way, so that a form can change between them: 1.3M, 0.4x, 2.6MB@bf16, …

    A share needs the teacher's size and a speed the memory bandwidth of `device` (0.1 s on a CPU, the first time).
    """
    if kind == "size":
        return count_text(parameters)
    if kind == "share":
        if not teacher_params:
            raise BadRecipe("student: A share needs a teacher, and there is none.", "Choose a teacher first.")
        return f"{_plain(min(1.0, parameters / teacher_params))}x"
    size_bytes = PRECISION_BYTES[precision]
    if kind == "memory":
        return f"{bytes_text(parameters * size_bytes)}@{precision}"
    # the size for one token a second, over the size there is
    one = parameters_for_speed(1.0, size_bytes, memory_bandwidth(chosen_device(device)[0])).value
    return f"{_plain(one / parameters)}tok/s@{precision}"


def _plain(value: float) -> str:
    """Three digits without an exponent."""
    return f"{float(f'{value:.3g}'):.12f}".rstrip("0").rstrip(".")


def _parse_amount(wish: str) -> Target | None:
    """The target, or None for what is no amount."""
    if match := _SHARE.fullmatch(wish):
        share = float(match["number"]) / (100 if match["unit"] == "%" else 1)
        if not 0 < share <= 1:
            raise BadRecipe(f"student: {wish} is no share of the teacher.", "Write one above 0 and at most 1, as 0.4x.")
        return Target(text=wish, kind="share", value=share)
    if match := _MEMORY.fullmatch(wish):
        unit = match["unit"].lower()
        scale = (1024 if "i" in unit else 1000) ** ("kmgt".index(unit[0]) + 1)
        value = _above_zero(wish, float(match["number"])) * scale
        return Target(text=wish, kind="memory", value=value, precision=_precision(wish, match["precision"]))
    if match := _SPEED.fullmatch(wish):
        value = _above_zero(wish, float(match["number"]))
        return Target(text=wish, kind="speed", value=value, precision=_precision(wish, match["precision"]))
    try:
        return Target(text=wish, kind="size", value=_above_zero(wish, parse_count(wish)))
    except BadRecipe:
        raise
    except Trouble:
        return None


def _parse_folder(wish: str) -> Target:
    try:
        return Target(text=wish, kind="folder", path=resolve_model(wish or "?"))
    except BadModel as error:
        if "/" in wish or "\\" in wish:
            raise BadRecipe(f"student: {error.what}", error.way_out) from error
        raise BadRecipe(f"student: {wish!r} is no size and no model folder.", UNDERSTOOD) from error


def _above_zero(wish: str, value: float) -> float:
    if value <= 0:
        raise BadRecipe(f"student: {wish} is no size.", UNDERSTOOD)
    return value


def _precision(wish: str, name: str | None) -> str:
    named = (name or "bf16").lower()
    named = _PRECISION_NAMES.get(named, named)
    if named not in PRECISION_BYTES:
        raise BadRecipe(f"student: {name!r} in {wish} is no precision.", f"Known are {', '.join(PRECISION_BYTES)}.")
    return named


def _folder_parameters(folder: Path) -> int:
    if has_weights(folder):
        return inspect_model(folder, allow_remote_code=True).parameters  # only counted: nothing of it is run
    return count_parameters(read_config(folder)).total


def has_weights(folder: Path) -> bool:
    """False for a folder that describes a model (config.json) and holds no weights of any format."""
    return any(any(folder.glob(pattern)) for pattern in ("*.safetensors*", "*.bin", "*.pt", "*.pth", "*.gguf"))


# --- where it runs ----------------------------------------------------------------------------------------------------


def chosen_device(device: str) -> tuple[Device, str, list[Device]]:
    """The device of a run, why, and all there are. Raises BadRecipe for one that isn't there."""
    machine = devices()
    if device == "auto":
        return *default_device(machine), machine
    for found in machine:
        if found.id == device and found.usable:
            return found, "as asked", machine
        if found.id == device:
            raise BadRecipe(f"device: {device} can't be used. {found.note}", "Choose another device.")
    names = ", ".join(found.id for found in machine)
    raise BadRecipe(f"device: there is no {device} on this machine.", f"There is {names}; auto chooses.")


def check_device(device: str) -> None:
    """Raise BadRecipe, naming the devices there are, for one that a run can't have on this machine."""
    if device != "auto":
        chosen_device(device)
