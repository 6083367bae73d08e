"""The device's card: where the run computes, on how many of them, and where and how precisely the teacher reads."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.devices import Device
from core.distill import QUANTIZED, DistillRecipe
from core.numbers import bytes_text
from core.plan import Plan
from desktop_app import theme
from desktop_app.forms import Choice, Field, MoreSettings, Segmented
from desktop_app.plan.draft import Draft

MOST_ON_CPU = 2


class DeviceCard(QWidget):
    """`changed` carries the fields of the draft that the user changed."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        described = DistillRecipe.model_fields
        self.choice = Choice([("auto", self.tr("Automatic"))])
        self.choice.setMinimumContentsLength(16)
        self.field = Field(self.tr("Where it runs"), self.choice)
        self.processes = Choice()
        self.processes_field = Field(self.tr("Processes"), self.processes)
        self.strategy = Segmented([("ddp", "DDP"), ("fsdp", "FSDP")])
        self.strategy_field = Field(self.tr("What each holds"), self.strategy, described["strategy"].description or "")
        self.teacher_precision, self.teacher_device = Choice(), Choice()
        self.precision_field = Field(self.tr("Precision of the teacher"), self.teacher_precision)
        self.teacher_field = Field(self.tr("Device of the teacher"), self.teacher_device)
        self.rest = QWidget()
        self.more = MoreSettings(self.rest, self.tr("More about the device"))
        self._grid = QGridLayout(self.rest)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2 * theme.SPACE)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 * theme.SPACE)
        self._several = False  # GPUs
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        """The number of GPUs stands in sight where there are several; elsewhere it is a dial for few."""
        self._layout.addWidget(self.field)
        if self._several:
            self._layout.addWidget(self.processes_field)
        self._layout.addWidget(self.more)
        first = [] if self._several else [self.processes_field]
        for at, one in enumerate([*first, self.strategy_field, self.precision_field, self.teacher_field]):
            self._grid.addWidget(one, at // 2, at % 2, Qt.AlignmentFlag.AlignTop)
        for column in (0, 1):
            self._grid.setColumnStretch(column, 1)
        self.processes_field.show()  # what moves to another parent is hidden first

    def _connect(self) -> None:
        self.choice.chosen.connect(lambda device: self.changed.emit({"device": device}))
        self.processes.chosen.connect(self._choose_processes)
        self.strategy.chosen.connect(lambda way: self.changed.emit({"strategy": way}))
        self.teacher_precision.chosen.connect(lambda name: self.changed.emit({"teacher_precision": name}))
        self.teacher_device.chosen.connect(lambda device: self.changed.emit({"teacher_device": device}))

    def _choose_processes(self, count: object) -> None:
        assert isinstance(count, int)
        several = {"launch": "accelerate"} if count > 1 else {"launch": "direct", "strategy": "ddp"}
        self.changed.emit({"processes": count, **several})

    def fields(self) -> dict[str, Field]:
        return {
            "device": self.field,
            "processes": self.processes_field,
            "launch": self.processes_field,  # several processes are started by accelerate, one is not
            "strategy": self.strategy_field,
            "teacher_precision": self.precision_field,
            "teacher_device": self.teacher_field,
        }

    def folded(self, name: str) -> bool:
        """True for a field that stands under *More about the device*."""
        field = self.fields().get(name)
        return field is not None and self.rest.isAncestorOf(field)

    def show_draft(self, draft: Draft) -> None:
        self.choice.choose(draft.device)
        self.processes.choose(draft.value("processes"))
        self.strategy.choose(draft.value("strategy"))
        self.strategy_field.setVisible(draft.value("processes") > 1)
        self.teacher_precision.choose(draft.value("teacher_precision"))
        self.teacher_device.choose(draft.value("teacher_device"))
        self.precision_field.setVisible(draft.guided)
        self.teacher_field.setVisible(draft.guided)

    def show_machine(self, machine: Sequence[Device], plan: Plan | None, draft: Draft) -> None:
        gpus = [device for device in machine if device.id.startswith("cuda") and device.usable]
        if (len(gpus) > 1) != self._several:
            self._several = len(gpus) > 1
            self._lay_out()
        chosen = f": {plan.device}" if plan is not None and draft.device == "auto" else ""
        options: list[_Row] = [("auto", self.tr("Automatic") + chosen, "")]
        options += [(device.id, self._line(device), "" if device.usable else device.note) for device in machine]
        self.field.set_help(plan.device_reason if plan is not None and draft.device == "auto" else "")
        _offer(self.choice, options, draft.device, self.tr("%s (not on this machine)"))
        self._show_processes(machine, gpus, plan, draft)
        self._show_teacher(machine, plan, draft)

    def _show_processes(
        self, machine: Sequence[Device], gpus: Sequence[Device], plan: Plan | None, draft: Draft
    ) -> None:
        on_cpu = draft.device == "cpu" or not gpus
        mps = any(device.id == "mps" for device in machine) and draft.device in ("auto", "mps")
        most = 1 if mps else MOST_ON_CPU if on_cpu else len(gpus)
        one = self.tr("1 process") if on_cpu else self.tr("1 GPU")
        several = self.tr("%d processes") if on_cpu else self.tr("%d GPUs")
        options: list[_Row] = [(count, one if count == 1 else several % count, "") for count in range(1, most + 1)]
        _offer(self.processes, options, draft.value("processes"), self.tr("%s processes (not on this machine)"))
        self.processes_field.set_help(self._about_processes(mps=mps, on_cpu=on_cpu))

    def _about_processes(self, *, mps: bool, on_cpu: bool) -> str:
        if mps:
            return self.tr("The GPU of a Mac is for one process.")
        if on_cpu:
            return self.tr(
                "Two share the cores and are seldom faster than one; for trying what will run on several GPUs."
            )
        return self.tr("Each GPU takes its share of every step; the teacher is held on each of them.")

    def _show_teacher(self, machine: Sequence[Device], plan: Plan | None, draft: Draft) -> None:
        place = plan.device if plan is not None else draft.device
        why_not = ""
        if not place.startswith("cuda"):
            why_not = self.tr("needs an NVIDIA GPU")
        elif find_spec("bitsandbytes") is None:
            why_not = self.tr("needs the package bitsandbytes")
        precisions: list[_Row] = [
            ("auto", self.tr("As the arithmetic"), ""),
            ("float32", "float32", ""),
            ("bfloat16", "bfloat16", ""),
            *((name, name, why_not) for name in QUANTIZED),
        ]
        _offer(self.teacher_precision, precisions, draft.value("teacher_precision"), "%s")
        about = self.tr("8 or 4 bits leave more memory to the student and make the teacher a little less exact.")
        if plan is not None and draft.value("teacher_precision") == "auto":
            found = "bfloat16" if plan.estimate.choices.bf16 else "float32"
            about = self.tr("%s, as the student's arithmetic: %s.") % (found, plan.estimate.choices.reasons["bf16"])
        self.precision_field.set_help(about)
        self._show_teacher_device(machine, place, draft)

    def _show_teacher_device(self, machine: Sequence[Device], place: str, draft: Draft) -> None:
        shared = self.tr("not with several processes") if draft.value("processes") > 1 else ""
        others = [device for device in machine if device.id != place]
        options: list[_Row] = [(None, self.tr("With the student"), "")]
        options += [(device.id, self._line(device), shared if device.usable else device.note) for device in others]
        _offer(self.teacher_device, options, draft.value("teacher_device"), self.tr("%s (not on this machine)"))
        none = self.tr("This machine has one device, which teacher and student share.")
        some = self.tr(
            "A device of its own leaves the student's memory free; the teacher's answers are carried over at every step."
        )
        self.teacher_field.set_help(some if others else none)

    def _line(self, device: Device) -> str:
        free = self.tr("%s free of %s") % (bytes_text(device.memory_free_bytes), bytes_text(device.memory_total_bytes))
        return " · ".join(part for part in (device.id, device.name, free) if part)


_Row = tuple[object, str, str]  # value, text, why not


def _offer(choice: Choice, rows: Sequence[_Row], chosen: object, elsewhere: str) -> None:
    """Fill a list anew where it differs; a chosen value that it lacks is said as `elsewhere`."""
    rows = [*rows] if chosen in {value for value, _, _ in rows} else [*rows, (chosen, elsewhere % chosen, "")]
    if choice.property("rows") != repr(rows):
        choice.setProperty("rows", repr(rows))
        choice.set_options([(value, text) for value, text, _ in rows])
        for value, _, why_not in rows:
            if why_not:
                choice.refuse(value, why_not)
    choice.choose(chosen)
