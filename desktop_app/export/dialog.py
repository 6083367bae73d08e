"""The dialog that exports a model: where it will run, how its weights are kept, where to; and how it is checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.export import TARGETS, ExportRecipe, Target
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.export import starting
from desktop_app.export.starting import Subject
from desktop_app.forms import DescribedChoice, Field, FileList, MoreSettings, Options, PlaceField
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.work import Latest, in_background

WIDTH, HEIGHT = 840, 640  # px


def ask_to_export(context: Context, model: Path, parent: QWidget) -> None:
    """Look at the model off the window's thread, then open the dialog; the run is shown once it is started."""
    entry = context.shelf.entry(model)
    name = entry.name if entry is not None else model.name

    def show(subject: Subject) -> None:
        dialog = ExportDialog(context, subject, parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    in_background(parent, partial(starting.look_at, model, name), show, context.trouble)


class ExportDialog(QDialog):
    """The left column says what for, the right how and where to. Nothing is written before the run has checked it."""

    started = Signal(str)  # the run's id

    def __init__(self, context: Context, subject: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._subject = context, subject
        self._starting = self._own_place = False
        self._latest, self._places = Latest(self), Latest(self)
        self.setWindowTitle(self.tr("Export"))
        self.head = Elided(self.tr("Export %s") % subject.name)
        theme.set_role(self.head, "title")
        info = subject.info
        kept = "/".join(info.dtypes) or self.tr("unknown precision")
        self.about = words(
            "muted",
            self.tr("%s parameters, %s in %s. The export is loaded again and must answer as the model does, or it is not kept.")
            % (count_text(info.parameters), bytes_text(info.size_bytes), kept),
        )  # fmt: skip
        self.target = Options(starting.target_options(subject))
        self.type = DescribedChoice()
        self.data = FileList(self.tr("By default the sample's stories"))
        self.prompts = QPlainTextEdit()
        self.license, self.push = QLineEdit(), QLineEdit()
        self.public = QCheckBox(self.tr("Everybody may see it"))
        self.problem = words("error")
        self.cancel = button(self.tr("Cancel"))
        self.export = button(self.tr("Export"), "export", "primary")
        self._make_fields()
        self._lay_out()
        self._connect()
        first = next((name for name in TARGETS if name not in subject.targets), next(iter(TARGETS)))
        self.target.choose(first)
        self._target_chosen()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _make_fields(self) -> None:
        self.target_field = Field(self.tr("Where will it run?"), self.target)
        self.type_field = Field(self.tr("Weights"), self.type)
        self.out_field = PlaceField(self.tr("Write it to"))
        self.out = self.out_field.edit
        self.data_field = Field(self.tr("Compare on this text"), self.data)
        self.prompts.setFixedHeight(72)
        self.prompts.setTabChangesFocus(True)
        self.prompts_field = Field(
            self.tr("Ask both these"),
            self.prompts,
            self.tr("One prompt a line; by default ten beginnings of the text."),
        )
        self.license.setPlaceholderText("apache-2.0")
        self.license_field = Field(self.tr("Licence"), self.license, self.tr("The model card names it."))
        self.push.setPlaceholderText(self.tr("organisation/name"))
        sends = self.tr(
            "Leave it empty, and nothing leaves this machine. Else the checked files are sent to the Hub, which takes a token."
        )
        self.push_field = Field(self.tr("Also upload it to the Hub as"), self.push, sends)

    def _lay_out(self) -> None:
        more = QWidget()
        rest = QVBoxLayout(more)
        rest.setContentsMargins(0, 0, 0, 0)
        rest.setSpacing(2 * theme.SPACE)
        for one in (self.data_field, self.prompts_field, self.license_field, self.push_field, self.public):
            rest.addWidget(one)
        self.more = MoreSettings(more, self.tr("How it is checked, licence, upload"))
        columns = QWidget()
        across = QHBoxLayout(columns)
        across.setContentsMargins(0, 0, theme.SPACE, 0)
        across.setSpacing(4 * theme.SPACE)
        for parts in ((self.target_field,), (self.type_field, self.out_field, self.more)):
            column = QVBoxLayout()
            column.setSpacing(2 * theme.SPACE)
            for part in parts:
                column.addWidget(part)
            column.addStretch(1)
            across.addLayout(column, 1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(columns)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addWidget(self.problem, 1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.export)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.head)
        layout.addWidget(self.about)
        layout.addSpacing(theme.SPACE)
        layout.addWidget(area, 1)
        layout.addLayout(buttons)
        self.resize(WIDTH, HEIGHT)

    def _connect(self) -> None:
        self.target.chosen.connect(lambda _: self._target_chosen())
        self.type.chosen.connect(lambda _: self._type_chosen())
        self.out_field.changed.connect(self._place_taken)
        for edit in (self.license, self.push):
            edit.textEdited.connect(lambda _: self._look())
        self.prompts.textChanged.connect(self._look)
        self.data.changed.connect(self._look)
        self.public.toggled.connect(lambda _: self._look())
        self.cancel.clicked.connect(self.reject)
        self.export.clicked.connect(self._start)

    # --- what is chosen -----------------------------------------------------------------------------------------------

    def _target_chosen(self) -> None:
        self.type.describe(starting.type_options(self._subject, self.target.value()))
        self.type.setCurrentIndex(0)
        is_file = self.target.value() in starting.FILES
        self.out_field.file_kinds = self.tr("GGUF files (*.gguf)") if is_file else ""
        self.type.setEnabled(self.type.count() > 1)
        self.type.setToolTip("" if self.type.count() > 1 else self.tr("This target knows one type only."))
        self._type_chosen()

    def _type_chosen(self) -> None:
        self.type_field.set_help(starting.type_words(str(self.type.value())))
        if self._own_place:
            self._look()
            return
        home, name, target, kind = self._context.home, self._subject.name, self.target.value(), str(self.type.value())
        self._places.ask(lambda: starting.place_for(home, name, target, kind), self._take_place, self._failed)

    def _take_place(self, place: Path) -> None:
        self.out.setText(str(place))
        self._look()

    def _place_taken(self) -> None:
        self._own_place = self.out_field.path() is not None
        self._places.drop()  # one that is being looked for comes too late
        self._look()

    def recipe(self) -> ExportRecipe | None:
        """What would be done; None while the place is missing."""
        if (out := self.out_field.path()) is None:
            return None
        return ExportRecipe(
            model=str(self._subject.folder),
            to=cast("Target", self.target.value()),
            type=str(self.type.value()),
            out=out,
            data=tuple(str(path) for path in self.data.paths()),
            prompts=tuple(line for line in self.prompts.toPlainText().splitlines() if line.strip()),
            license=self.license.text().strip(),
            push=self.push.text().strip() or None,
            public=self.public.isChecked(),
        )

    def _look(self) -> None:
        """What is in the way, looked up off the window's thread."""
        pushes = bool(self.push.text().strip())
        self.public.setEnabled(pushes)
        self.public.setToolTip("" if pushes else self.tr("It is not uploaded."))
        self.export.setText(self.tr("Export and upload") if pushes else self.tr("Export"))
        recipe = self.recipe()
        if recipe is None:
            self._latest.drop()
            self._show({"out": self.tr("Say where to write it.")})
            return
        self._latest.ask(lambda: _problems(recipe), self._show, lambda trouble: self._show({"": str(trouble)}))

    def _show(self, problems: dict[str, str]) -> None:
        fields = {"type": self.type_field, "out": self.out_field, "data": self.data_field, "push": self.push_field}
        for name, field in fields.items():
            field.set_problem(problems.get(name, ""))
        hidden = [fields[name] for name in ("data", "push") if problems.get(name)]
        if hidden and not self.more.button.isChecked():
            self.more.open()
        elsewhere = "\n".join(text for name, text in problems.items() if name not in ("type", "out"))
        self.problem.setText(elsewhere)
        why_not = "\n".join(problems.values())
        self.export.setEnabled(not why_not and not self._starting)
        self.export.setToolTip(why_not)

    # --- the start ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        recipe = self.recipe()
        if recipe is None or self._starting:
            return
        self._starting = True
        self.export.setEnabled(False)
        self.export.setToolTip(self.tr("The run is being made."))
        home = self._context.home
        in_background(self, lambda: starting.start(home, recipe), self._started, self._failed)

    def _started(self, run: str) -> None:
        self.started.emit(run)
        self._context.live.look()
        self.accept()
        self._context.open("runs", run=run)

    def _failed(self, trouble: Trouble) -> None:
        self._starting = False
        self._show({"": str(trouble)})


def _problems(recipe: ExportRecipe) -> dict[str, str]:
    """By field; an upload without a token is one, too."""
    found = {problem.field: problem.text for problem in recipe.problems()}
    if recipe.push is not None and "push" not in found:
        from core import hub

        if hub.token() is None:
            found["push"] = "There is no token to upload with. Give one in Settings, under Hugging Face Hub."
    return found
