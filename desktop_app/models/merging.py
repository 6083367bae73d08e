"""The dialog that merges adapters into their base: how much each of them counts, where to, and how exactly it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core import runner
from core.adapters import Adapter, MergeAdapterRecipe, base_of, read_adapter
from core.errors import Trouble
from core.home import Home
from core.models import ModelEntry, inspect_model
from core.numbers import bytes_text
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms import AmountEdit, Choice, Field, PlaceField
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.plan.amounts import real_text
from desktop_app.work import Latest, in_background

WIDTH = 560  # px


@dataclass(frozen=True)
class Stack:
    """The picked adapter, its base, and what else at hand is for the same base."""

    adapter: Adapter
    base: Path
    size_bytes: int  # of the base in float32
    dtype: str  # of the base's file
    others: tuple[tuple[str, Path], ...]


def ask_to_merge(context: Context, adapter: Path, parent: QWidget) -> None:
    """Look at the adapter off the window's thread, then open the dialog; the run is shown once it is started."""
    entries = list(context.shelf.entries)

    def show(stack: Stack) -> None:
        dialog = MergeDialog(context, stack, parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    in_background(parent, lambda: look_at(adapter, entries), show, context.trouble)


def look_at(folder: Path, entries: Sequence[ModelEntry]) -> Stack:
    """BadModel where the base is gone or another."""
    adapter = read_adapter(folder)
    base = base_of(adapter)
    info = inspect_model(base)
    others = []
    for entry in entries:
        if entry.info is None or not entry.info.is_adapter or entry.path == folder:
            continue
        try:
            if base_of(read_adapter(entry.path)).resolve() == base.resolve():
                others.append((entry.name, entry.path))
        except Trouble:  # its base is gone, or it is of another kind: then it is none of these
            continue
    dtype = info.dtypes[0] if info.dtypes else ""
    return Stack(adapter, base, 4 * info.parameters, dtype, tuple(others))


def start(home: Home, recipe: MergeAdapterRecipe) -> str:
    """Queue the merge and see that a runner lives; the run's id."""
    return runner.start(home, recipe.check()).id


class MergeDialog(QDialog):
    """One adapter, or several of the same base, each with its weight."""

    started = Signal(str)  # the run's id

    def __init__(self, context: Context, stack: Stack, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._stack = context, stack
        self._starting = False
        self._problem_of: dict[str, str] = {}
        self._latest = Latest(self)
        self.setWindowTitle(self.tr("Merge into base"))
        self.about = words(
            "muted",
            self.tr("%s gets what its adapters learnt, added to its weights exactly. All of them stay as they are.")
            % stack.base.name,
        )
        self._make_stack()
        self._make_fields()
        self.problem = words("error")
        self.cancel = button(self.tr("Cancel"))
        self.merge = button(self.tr("Merge"), "merge", "primary")
        self._lay_out()
        self._connect()
        self._look()

    def _make_stack(self) -> None:
        """A line for each adapter: whether it takes part, and how much it counts."""
        listed = [(self._stack.adapter.path.name, self._stack.adapter.path), *self._stack.others]
        names = {self._stack.adapter.path: self._name_of(self._stack.adapter.path)}
        self.stack: dict[Path, tuple[QCheckBox, AmountEdit]] = {}
        self._stack_lines = QWidget()
        grid = QGridLayout(self._stack_lines)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(theme.SPACE)
        grid.setColumnStretch(1, 1)
        for row, (name, path) in enumerate(listed):
            name = names.get(path, name)
            box, scale, label = QCheckBox(), AmountEdit(read=float, write=real_text), Elided(name)
            label.setToolTip(str(path))
            box.setAccessibleName(self.tr("Merge %s") % name)
            box.setChecked(row == 0)
            box.setEnabled(row > 0)
            box.setToolTip(self.tr("It is the one that was picked.") if row == 0 else "")
            scale.set_value(1.0)
            scale.setFixedWidth(72)
            scale.setAccessibleName(self.tr("How much %s counts") % name)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            for column, widget in enumerate((box, label, QLabel("×"), scale)):
                grid.addWidget(widget, row, column)
            self.stack[path] = (box, scale)

    def _name_of(self, path: Path) -> str:
        entry = self._context.shelf.entry(path)
        return entry.name if entry is not None else path.name

    def _make_fields(self) -> None:
        name = self._name_of(self._stack.adapter.path)
        plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")[:60]
        place = self._context.home.root / "merged" / (plain or "adapter")
        self.out_field = PlaceField(self.tr("Write the merged model to"), str(place))
        kept = self._stack.dtype or "?"
        self.precision = Choice([("float32", self.tr("float32: exact")), ("base", self.tr("As its base: %s") % kept)])
        size = self.tr("About %s. Anything shorter rounds what was learnt.") % bytes_text(self._stack.size_bytes)
        self.precision_field = Field(self.tr("Precision of the file"), self.precision, size)
        few = self.tr("1 is as it was trained, 0.5 half of it; adapters of the same base can be merged together.")
        self.stack_field = Field(self.tr("Adapters, and how much each counts"), self._stack_lines, few)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.merge)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.about, self.stack_field, self.out_field, self.precision_field, self.problem):
            layout.addWidget(one)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self.setMinimumWidth(WIDTH)

    def _connect(self) -> None:
        for box, scale in self.stack.values():
            box.toggled.connect(lambda _: self._look())
            scale.changed.connect(lambda _: self._look())
        self.out_field.changed.connect(self._look)
        self.cancel.clicked.connect(self.reject)
        self.merge.clicked.connect(self._start)

    def recipe(self) -> MergeAdapterRecipe | None:
        """What would be done; None while a number or the folder is missing."""
        chosen = [(path, scale.value()) for path, (box, scale) in self.stack.items() if box.isChecked()]
        scales = tuple(value for _, value in chosen if value is not None)
        out = self.out_field.path()
        if len(scales) < len(chosen) or out is None:
            return None
        return MergeAdapterRecipe(
            adapters=tuple(str(path) for path, _ in chosen),
            scales=scales,
            base=str(self._stack.base),
            out=out,
            save_precision="base" if self.precision.value() == "base" else "float32",
            device="cpu",
            share_device=True,
        )

    def _look(self) -> None:
        """What is in the way, looked up off the window's thread."""
        recipe = self.recipe()
        if recipe is None:
            self._latest.drop()
            self._show({"": self.tr("Say how much each adapter counts, and where to write the model.")})
            return
        self._latest.ask(
            lambda: {problem.field: problem.text for problem in recipe.problems()},
            self._show,
            lambda trouble: self._show({"": str(trouble)}),
        )

    def _show(self, problems: dict[str, str]) -> None:
        self._problem_of = problems
        self.out_field.set_problem(problems.get("out", ""))
        elsewhere = "\n".join(text for name, text in problems.items() if name != "out")
        self.problem.setText(elsewhere)
        self.problem.setVisible(bool(elsewhere))
        why_not = "\n".join(problems.values())
        self.merge.setEnabled(not why_not and not self._starting)
        self.merge.setToolTip(why_not)

    def _start(self) -> None:
        recipe = self.recipe()
        if recipe is None or self._starting:
            return
        self._starting = True
        self.merge.setEnabled(False)
        home = self._context.home
        in_background(self, lambda: start(home, recipe), self._started, self._failed)

    def _started(self, run: str) -> None:
        self.started.emit(run)
        self._context.live.look()
        self.accept()
        self._context.open("runs", run=run)

    def _failed(self, trouble: Trouble) -> None:
        self._starting = False
        self._show({"": str(trouble)})
