"""The dialog of preparing data: sources in their shares, what is held out, what is dropped, and a trial that shows the effect first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.data.shelf import DataSet
from core.errors import BadRecipe, Trouble
from core.models import ModelEntry
from core.numbers import parse_count
from core.prepare import PrepareRecipe
from core.recipe import Problem, parse_recipe
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.data.preview_pane import usable_tokenizer
from desktop_app.data.reading import Reading
from desktop_app.data.sifted import SiftedView
from desktop_app.data.surveys import start
from desktop_app.data.trial import TRIAL_ROWS, Trial
from desktop_app.forms import AmountEdit, Choice, Field, MoreSettings, Segmented
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import line, words
from desktop_app.work import Latest, in_background

PAUSE_MS = 150
SIZE = (1040, 680)  # px
FORM_WIDTH = 528  # px


class PrepareDialog(QDialog):
    """`started` carries the run that prepares, and its name."""

    started = Signal(str, str)

    def __init__(
        self,
        context: Context,
        entries: Sequence[DataSet],
        readings: Sequence[Reading],
        model: Path | None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.context, self.entries, self._readings = context, list(entries), list(readings)
        self._starting = False
        self._checked = False  # the problems of what the form says now are known
        self._problems: list[Problem] = []
        self._checking = Latest(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self.trial = Trial(context, self)
        self.setWindowTitle(self.tr("Prepare data"))
        self._make_mixture()
        self._make_filters(model)
        self._make_rest()
        self._lay_out()
        self._connect()
        self._look()

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_mixture(self) -> None:
        self.name = QLineEdit()
        self.name.setPlaceholderText(PrepareRecipe(data=tuple(str(one.path) for one in self.entries)).title())
        self.name_field = Field(self.tr("Name"), self.name)
        self.how = Segmented([("all", self.tr("All that is kept")), ("shares", self.tr("In shares"))])
        self.how_field = Field(self.tr("How much is taken"), self.how)
        self.weights = [_number(float) for _ in self.entries]
        self.shares = QWidget()
        grid = QGridLayout(self.shares)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * theme.SPACE)
        grid.setVerticalSpacing(4)
        for at, (entry, weight) in enumerate(zip(self.entries, self.weights, strict=True)):
            weight.set_value(1)
            weight.setAccessibleName(self.tr("Share of %s") % entry.name)
            grid.addWidget(Elided(entry.name), at, 0)
            grid.addWidget(weight, at, 1)
        grid.setColumnStretch(0, 1)
        self.weights_field = Field(
            self.tr("Shares of the mixture"),
            self.shares,
            self.tr("3 and 1: three rows of the first for each of the second."),
        )
        self.weigh_by = Choice(
            [("documents", self.tr("rows")), ("tokens", self.tr("tokens")), ("characters", self.tr("characters"))]
        )
        self.weigh_by_field = Field(self.tr("Counted in"), self.weigh_by)
        self.total = AmountEdit(parse_count)
        self.total.setPlaceholderText(self.tr("as much as there is"))
        self.total_field = Field(self.tr("In all"), self.total)
        self.repeat = QCheckBox(self.tr("Repeat a source that is too small for its share"))
        self.validation, self.test = _percent(), _percent()
        self.validation.set_value(0.05)
        self.validation_field = Field(self.tr("Held out for validation"), self.validation)
        self.test_field = Field(self.tr("Held out for a test"), self.test)
        self.test.setPlaceholderText("0%")
        self.split_help = words(
            "small", self.tr("Drawn by each text itself and the seed: the same text never stands on both sides.")
        )

    def _make_filters(self, model: Path | None) -> None:
        self.drop_flawed = QCheckBox(self.tr("Flawed conversations: no answer, an empty one, a wrong order"))
        self.drop_exact = QCheckBox(self.tr("Rows that stood there before"))
        self.drop_near = QCheckBox(self.tr("Rows that are almost the same as one before"))
        self.drop_flawed.setChecked(True)
        self.drop_exact.setChecked(True)
        self.least, self.most = AmountEdit(parse_count), AmountEdit(parse_count)
        self.least.setAccessibleName(self.tr("Shortest length that is kept"))
        self.most.setAccessibleName(self.tr("Longest length that is kept"))
        self.least.setPlaceholderText(self.tr("from"))
        self.most.setPlaceholderText(self.tr("to"))
        self.length_unit = Choice([("characters", self.tr("characters")), ("tokens", self.tr("tokens"))])
        self.length_unit.setAccessibleName(self.tr("Unit of the lengths"))
        for edit in (self.least, self.most):
            edit.setFixedWidth(104)
        self.length_field = Field(self.tr("Only rows of a length"), line(self.least, self.most, self.length_unit))
        self.keep, self.drop = QLineEdit(), QLineEdit()
        self.keep_field = Field(self.tr("Only rows that match"), self.keep, self.tr("A regular expression, found anywhere in the text."))  # fmt: skip
        self.drop_field = Field(self.tr("No rows that match"), self.drop)
        self.model = Choice()
        entries = [entry for entry in self.context.shelf.entries if usable_tokenizer(entry)]
        self.model.set_options([("", self.tr("none")), *((str(entry.path), entry.name) for entry in entries)])
        self.model.choose(str(model or _first(entries) or ""))
        self.model_field = Field(
            self.tr("Model"),
            self.model,
            self.tr("Its tokens are counted, and its embeddings are what the classifier sees."),
        )
        self.labelled = QLineEdit()
        self.labelled.setPlaceholderText(self.tr('rows like {"text": "…", "label": "good"}'))
        self.labelled_field = Field(
            self.tr("Labelled rows"),
            self.labelled,
            self.tr(
                "A few dozen teach a random forest what to keep, as in the textbooks recipe (Gunasekar et al. 2023)."
            ),
        )
        self.choose_labelled = button(self.tr("Choose…"), "open", "quiet")
        self.labelled_field.beside_label(self.choose_labelled)
        self.threshold = _percent()
        self.threshold.set_value(0.5)
        self.threshold_field = Field(self.tr("Keep what is good at least by"), self.threshold)

    def _make_rest(self) -> None:
        about = self.tr("What is kept is written as JSON lines with a card that says how it was made. Your files stay as they are.")  # fmt: skip
        self.about = words("muted", about)
        self.try_it = button(self.tr("Try on the first rows"), "measure")
        self.try_it.setToolTip(self.tr("Sift the first %s rows of each source and see what is dropped.") % f"{TRIAL_ROWS:,}")  # fmt: skip
        self.trial_words = words("muted")
        self.effect = SiftedView()
        self.problem = words("error")
        self.cancel = button(self.tr("Cancel"))
        self.start_button = button(self.tr("Prepare"), "prepare", "primary")

    def _form(self) -> QWidget:
        form = QWidget()
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 2 * theme.SPACE, 0)
        layout.setSpacing(2 * theme.SPACE)
        dropped = QWidget()
        ticks = QVBoxLayout(dropped)
        ticks.setContentsMargins(0, 0, 0, 0)
        ticks.setSpacing(4)
        for tick in (self.drop_flawed, self.drop_exact, self.drop_near):
            ticks.addWidget(tick)
        classifier = QWidget()
        about = QVBoxLayout(classifier)
        about.setContentsMargins(0, 0, 0, 0)
        about.setSpacing(2 * theme.SPACE)
        for field in (self.labelled_field, self.threshold_field):
            about.addWidget(field)
        self.by_example = MoreSettings(classifier, self.tr("Sift by example"))
        first = (self.name_field, self.how_field, self.weights_field, _pair(self.weigh_by_field, self.total_field))
        split = (_pair(self.validation_field, self.test_field), self.split_help)
        sifting = (_headed(self.tr("What is dropped"), dropped), self.length_field, self.keep_field, self.drop_field)
        self._only_shares = (self.weights_field, self.repeat)
        for widget in (*first, self.repeat, *split, *sifting, self.by_example, self.model_field):
            layout.addWidget(widget)
        layout.addStretch(1)
        return form

    def _lay_out(self) -> None:
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self._form())
        area.setFixedWidth(FORM_WIDTH)
        effect = QVBoxLayout()
        effect.setSpacing(theme.SPACE)
        trial = QHBoxLayout()
        trial.addWidget(self.try_it)
        trial.addWidget(self.trial_words, 1)
        effect.addLayout(trial)
        effect.addWidget(self.effect, 1)
        across = QHBoxLayout()
        across.setSpacing(2 * theme.SPACE)
        across.addWidget(area)
        across.addLayout(effect, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addWidget(self.problem, 1)
        buttons.addStretch(0)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.start_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.about)
        layout.addLayout(across, 1)
        layout.addLayout(buttons)
        self.resize(*SIZE)

    def _connect(self) -> None:
        for edit in (self.name, self.keep, self.drop, self.labelled, self.total, self.validation, self.test, self.least,
                     self.most, self.threshold, *self.weights):  # fmt: skip
            edit.textChanged.connect(lambda _: self._look())
        for tick in (self.repeat, self.drop_flawed, self.drop_exact, self.drop_near):
            tick.clicked.connect(lambda _: self._look())
        for choice in (self.weigh_by, self.length_unit, self.model, self.how):
            choice.chosen.connect(lambda _: self._look())
        self._pause.timeout.connect(self._check)
        self.choose_labelled.clicked.connect(self._ask_labelled)
        self.try_it.clicked.connect(self._try)
        self.trial.told.connect(self.trial_words.setText)
        self.trial.ended.connect(self._tried)
        self.cancel.clicked.connect(self.reject)
        self.start_button.clicked.connect(self._start)
        self.finished.connect(lambda _: self.trial.close())

    # --- what the form says -------------------------------------------------------------------------------------------

    def recipe(self, *, preview: int = 0) -> PrepareRecipe:
        """Raises BadRecipe where a field can't be used."""
        shares, unit = self.how.value() == "shares", str(self.length_unit.value())
        first = self._readings[0]
        labelled = self.labelled.text().strip() or None
        raw: dict[str, Any] = {
            "kind": "prepare",
            "name": self.name.text().strip(),
            "data": [str(entry.path) for entry in self.entries],
            "columns": first.columns,
            "separator": first.separator or None,
            "skip_broken": any(reading.skip_broken for reading in self._readings),
            "model": str(self.model.value()) or None,
            "weights": [weight.value() or 0.0 for weight in self.weights] if shares else [],
            "weigh_by": self.weigh_by.value(),
            "total": _whole(self.total),
            "repeat": shares and self.repeat.isChecked(),
            "validation": self.validation.value() or 0.0,
            "test": self.test.value() or 0.0,
            f"most_{unit}": _whole(self.most),
            "keep": [self.keep.text()] if self.keep.text() else [],
            "drop": [self.drop.text()] if self.drop.text() else [],
            "drop_flawed": self.drop_flawed.isChecked(),
            "drop_exact": self.drop_exact.isChecked(),
            "drop_near": self.drop_near.isChecked(),
            "labelled": labelled,
            "threshold": 0.5 if self.threshold.value() is None else self.threshold.value(),
            "preview": preview,
        }
        if self.least.value() is not None:
            raw[f"least_{unit}"] = _whole(self.least)
        if labelled is None:  # sifting alone needs no accelerator, and waits for none
            raw |= {"device": "cpu", "share_device": True}
        made = parse_recipe(raw, "The form")
        assert isinstance(made, PrepareRecipe)
        return made

    def _fields(self) -> dict[str, Field]:
        return {
            "weights": self.weights_field, "total": self.total_field, "validation": self.validation_field,
            "test": self.test_field, "keep": self.keep_field, "drop": self.drop_field, "labelled": self.labelled_field,
            "model": self.model_field, "threshold": self.threshold_field, "least_characters": self.length_field,
            "least_tokens": self.length_field,
        }  # fmt: skip

    def _unread(self) -> list[Problem]:
        """What was typed and is no number."""
        edits: dict[str, tuple[AmountEdit, ...]] = {
            "weights": tuple(self.weights) if self.how.value() == "shares" else (), "total": (self.total,),
            "validation": (self.validation,), "test": (self.test,), "threshold": (self.threshold,),
            "least_characters": (self.least, self.most),
        }  # fmt: skip
        return [
            Problem(field=name, text=why) for name, those in edits.items() for edit in those if (why := edit.problem())
        ]

    def _look(self) -> None:
        """Something was changed: look for what is wrong with it, when the typing pauses."""
        several = len(self.entries) > 1
        self.how_field.setVisible(several)
        for widget in self._only_shares:
            widget.setVisible(several and self.how.value() == "shares")
        self._checked = False
        self._pause.start()
        self._show_start()

    def _check(self) -> None:
        unread = self._unread()
        try:
            recipe = self.recipe()
        except BadRecipe as trouble:
            self._take_problems(unread or [Problem(field="", text=str(trouble))])
            return
        mixed = self._mixed_columns()
        self._checking.ask(lambda: [*unread, *mixed, *recipe.problems()], self._take_problems, self._refuse)

    def _mixed_columns(self) -> list[Problem]:
        if len({(reading.columns, reading.separator) for reading in self._readings}) <= 1:
            return []
        text = self.tr(
            "Columns named by hand hold for all sources. Prepare those that differ by themselves first, then mix them."
        )
        return [Problem(field="", text=text)]

    def _take_problems(self, problems: list[Problem]) -> None:
        self._problems, self._checked = problems, True
        by_field = {problem.field: problem.text for problem in reversed(problems)}
        fields = self._fields()
        for name, field in fields.items():
            if not (name == "least_tokens" and field.problem.text()):
                field.set_problem(by_field.get(name, ""))
        rest = [text for name, text in by_field.items() if name not in fields]
        self.problem.setText("\n".join(rest))
        self._show_start()

    def _refuse(self, trouble: Trouble) -> None:
        self._starting = False
        self._take_problems([Problem(field="", text=str(trouble))])

    def _why_not(self) -> str:
        if self._starting:
            return self.tr("The run is being made.")
        if not self._checked:
            return self.tr("Looking at what the form says…")
        return self._problems[0].text if self._problems else ""

    def _show_start(self) -> None:
        why_not = self._why_not()
        self.start_button.setEnabled(not why_not)
        self.start_button.setToolTip(why_not)
        busy = self.tr("A trial is on its way.") if self.trial.busy else why_not
        usual = self.tr("Sift the first %s rows of each source and see what is dropped.") % f"{TRIAL_ROWS:,}"
        self.try_it.setEnabled(not busy)
        self.try_it.setToolTip(busy or usual)

    # --- doing it -----------------------------------------------------------------------------------------------------

    def _ask_labelled(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Choose labelled rows"))
        if name:
            self.labelled.setText(name)

    def _try(self) -> None:
        self.effect.show_results({})
        self.trial.start(self.recipe(preview=TRIAL_ROWS))
        self._show_start()

    def _tried(self, results: dict[str, Any]) -> None:
        if results:
            self.effect.show_results(results)
        self._show_start()

    def _start(self) -> None:
        home, recipe = self.context.home, self.recipe()
        self._starting = True
        self._show_start()

        def done(run: str) -> None:
            self.accept()
            self.started.emit(run, recipe.title())

        in_background(self, lambda: start(home, recipe), done, self._refuse)


def _number(read: Callable[[str], float]) -> AmountEdit:
    made = AmountEdit(read, lambda value: f"{value:g}")
    made.setFixedWidth(80)
    return made


def _percent() -> AmountEdit:
    made = AmountEdit(read_share, lambda value: f"{100 * value:g}%")
    made.setFixedWidth(104)
    return made


def read_share(text: str) -> float:
    """A share as people write it: 5% or 5. ValueError for anything else."""
    value = float(text.strip().removesuffix("%").strip()) / 100
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _whole(edit: AmountEdit) -> int | None:
    value = edit.value()
    return None if value is None else int(value)


def _first(entries: Sequence[ModelEntry]) -> Path | None:
    return entries[0].path if entries else None


def _pair(leading: QWidget, trailing: QWidget) -> QWidget:
    made = QWidget()
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2 * theme.SPACE)
    for one in (leading, trailing):
        layout.addWidget(one, 1, Qt.AlignmentFlag.AlignTop)
    return made


def _headed(title: str, content: QWidget) -> QWidget:
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE)
    heading = words("title", title)
    layout.addWidget(heading)
    layout.addWidget(content)
    return made
