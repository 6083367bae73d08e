"""The device's choice: where the run computes, with the memory that is free there."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.devices import Device
from core.numbers import bytes_text
from core.plan import Plan
from desktop_app.forms import Choice, Field
from desktop_app.plan.draft import Draft


class DeviceCard(QWidget):
    """`changed` carries the field of the draft that the user changed."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = Choice([("auto", self.tr("Automatic"))])
        self.choice.setMinimumContentsLength(16)
        self.field = Field(self.tr("Where it runs"), self.choice)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.field)
        self._shown: list[tuple[object, str]] = []
        self.choice.chosen.connect(lambda device: self.changed.emit({"device": device}))

    def fields(self) -> dict[str, Field]:
        return {"device": self.field}

    def show_draft(self, draft: Draft) -> None:
        self.choice.choose(draft.device)

    def show_machine(self, machine: Sequence[Device], plan: Plan | None, draft: Draft) -> None:
        chosen = f": {plan.device}" if plan is not None and draft.device == "auto" else ""
        options: list[tuple[object, str]] = [("auto", self.tr("Automatic") + chosen)]
        options += [(device.id, self._line(device)) for device in machine]
        if draft.device not in {value for value, _ in options}:
            options.append((draft.device, self.tr("%s (not on this machine)") % draft.device))
        if options != self._shown:
            self._shown = options
            self.choice.set_options(options)
            self._forbid([device for device in machine if not device.usable])
        self.choice.choose(draft.device)
        self.field.set_help(plan.device_reason if plan is not None and draft.device == "auto" else "")

    def _line(self, device: Device) -> str:
        free = self.tr("%s free of %s") % (bytes_text(device.memory_free_bytes), bytes_text(device.memory_total_bytes))
        return " · ".join(part for part in (device.id, device.name, free) if part)

    def _forbid(self, unusable: Sequence[Device]) -> None:
        model = self.choice.model()
        assert isinstance(model, QStandardItemModel)
        for device in unusable:
            item = model.item(self.choice.findData(device.id))
            item.setEnabled(False)
            item.setToolTip(device.note)
            item.setText(f"{item.text()} · {device.note}")
