"""The dialog of asking for evaluations: what is measured, on which benchmarks, pairs and text, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.benchmarks import BENCHMARKS, PRESETS, known, needs_consent, parse_tasks
from core.errors import BadRecipe, Trouble
from core.evaluate import EvaluateRecipe
from core.numbers import count_text, duration_text, parse_count
from core.recipe import Problem, parse_recipe
from core.subjects import AT
from desktop_app import theme
from desktop_app.compare.pick_list import Offer, PickList, offers_of
from desktop_app.context import Context
from desktop_app.evaluate.asking import Like, begin, like, problems_of, run_of, with_checkpoints
from desktop_app.forms import AmountEdit, Choice, Field, FileList, MoreSettings
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.work import Latest, in_background

PAUSE_MS = 150
SIZE = (960, 700)  # px
OWN = "own"  # of the presets: tasks as they are written


class EvaluateDialog(QDialog):
    """`started` carries the runs that were queued, and what is measured, as `core.compare` knows it."""

    started = Signal(list, list)

    def __init__(self, context: Context, ticked: Sequence[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self._ticked = list(ticked)
        self._problems: list[Problem] = []
        self._like: Like | None = None
        self._starting = False
        self._checking, self._looking = Latest(self), Latest(self)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self.setWindowTitle(self.tr("Evaluate"))
        self._make_benchmarks()
        self._make_rest()
        self._lay_out()
        self._connect()
        self._offer({})
        self._look()
        home, rows = context.home, list(context.live.rows)
        self._looking.ask(lambda: with_checkpoints(home, rows), self._offer, context.trouble)

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_benchmarks(self) -> None:
        self.subjects = PickList()
        self.preset = Choice(
            [
                ("", self.tr("None")),
                ("quick", self.tr("Quick: ARC easy, PIQA, BoolQ")),
                ("minima-six", self.tr("MiniMA six: MMLU, C-Eval, DROP, BBH, GSM8K, HumanEval")),
                (OWN, self.tr("As written below")),
            ]
        )
        self.preset_field = Field(self.tr("Benchmarks"), self.preset)
        self.tasks = QLineEdit()
        self.tasks.setPlaceholderText("arc_easy, piqa, gsm8k_cot@8")
        self.tasks_field = Field(
            self.tr("Tasks"),
            self.tasks,
            self.tr("Names of lm-evaluation-harness, tasks or groups; @8 asks with eight examples."),
        )
        self.folder = QLineEdit()
        self.folder.setPlaceholderText(self.tr("the folder that holds their files"))
        self.choose_folder = button(self.tr("Choose…"), "folder_open", "quiet")
        self.folder_field = Field(
            self.tr("Files of the benchmarks"),
            self.folder,
            self.tr(
                "Nothing is downloaded: ARC, PIQA, BoolQ, GSM8K, HumanEval, MMLU, BBH and the Hub's own layouts are read from here."
            ),
        )
        self.folder_field.beside_label(self.choose_folder)
        self.limit = AmountEdit(parse_count)
        self.limit.setPlaceholderText(self.tr("all"))
        self.limit.setFixedWidth(120)
        self.limit_field = Field(
            self.tr("Only the first questions of each"),
            self.limit,
            self.tr("Fewer are quicker, and the standard error is larger."),
        )
        self.consent = QCheckBox(self.tr("Run the programs that the model writes"))
        self.consent_words = words("warning")
        self.consent_card = QFrame()
        theme.set_role(self.consent_card, "card")
        box = QVBoxLayout(self.consent_card)
        box.setContentsMargins(12, 12, 12, 12)
        box.addWidget(self.consent_words)
        box.addWidget(self.consent)

    def _make_rest(self) -> None:
        self.pairs = QLineEdit()
        self.pairs.setPlaceholderText(self.tr("JSON lines, a folder of them, or BLiMP's archive"))
        self.choose_pairs = button(self.tr("Choose…"), "open", "quiet")
        self.pairs_field = Field(
            self.tr("Minimal pairs"),
            self.pairs,
            self.tr("Two sentences of which one is right: sentence_good and sentence_bad."),
        )
        self.pairs_field.beside_label(self.choose_pairs)
        self.data = FileList(self.tr("Drop text here, or add some."))
        self.data_field = Field(
            self.tr("Text to read"),
            self.data,
            self.tr("Bits per byte and perplexity; bits per byte compare across tokenizers."),
        )
        self.teacher = Choice()
        self.teacher_field = Field(
            self.tr("Agreement with a teacher"),
            self.teacher,
            self.tr("On the text, token by token; of the same tokenizer."),
        )
        self.calibration = QCheckBox(self.tr("Calibration: how sure it is against how often it is right"))
        self.writes = QCheckBox(self.tr("Variety and repetition of 50 texts that it writes"))
        self.speed = QCheckBox(self.tr("Speed, memory and energy"))
        self.beside = QCheckBox(self.tr("Beside what runs already, not after it"))
        self.anew = QCheckBox(self.tr("Measure again what was measured before with the same settings"))
        self.cost, self.problem = words("muted"), words("error")
        self.cancel, self.start = button(self.tr("Cancel")), button(self.tr("Evaluate"), "measure", "primary")

    def _lay_out(self) -> None:
        form = QWidget()
        column = QVBoxLayout(form)
        column.setContentsMargins(0, 0, 2 * theme.SPACE, 0)
        column.setSpacing(2 * theme.SPACE)
        more = QWidget()
        rest = QVBoxLayout(more)
        rest.setContentsMargins(0, 0, 0, 0)
        rest.addWidget(self.beside)
        rest.addWidget(self.anew)
        for widget in (
            self.preset_field, self.tasks_field, self.folder_field, self.limit_field, self.consent_card, self.pairs_field, self.data_field,
            self.teacher_field, self.calibration, self.writes, self.speed, MoreSettings(more),
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setFocusPolicy(area.focusPolicy().NoFocus)
        area.setHorizontalScrollBarPolicy(area.horizontalScrollBarPolicy().ScrollBarAlwaysOff)
        area.setWidget(form)
        left = QVBoxLayout()
        left.setSpacing(theme.SPACE)
        heading = QLabel(self.tr("What is measured"))
        heading.setBuddy(self.subjects.search)
        left.addWidget(heading)
        left.addWidget(self.subjects, 1)
        across = QHBoxLayout()
        across.setSpacing(3 * theme.SPACE)
        across.addLayout(left, 2)
        across.addWidget(area, 3)
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE)
        said = QVBoxLayout()
        said.setSpacing(2)
        said.addWidget(self.cost)
        said.addWidget(self.problem)
        foot.addLayout(said, 1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.start)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(across, 1)
        layout.addLayout(foot)
        self.resize(*SIZE)

    def _connect(self) -> None:
        self.subjects.ticked.connect(self._look)
        self.preset.chosen.connect(self._take_preset)
        self.tasks.textEdited.connect(lambda _: self.preset.choose(OWN))
        for edit in (self.tasks, self.folder, self.limit, self.pairs):
            edit.textChanged.connect(lambda _: self._look())
        for tick in (self.consent, self.calibration, self.writes, self.speed, self.anew, self.beside):
            tick.toggled.connect(lambda _: self._look())
        self.data.changed.connect(self._look)
        self.teacher.chosen.connect(lambda _: self._look())
        self.choose_folder.clicked.connect(self._ask_folder)
        self.choose_pairs.clicked.connect(self._ask_pairs)
        self._pause.timeout.connect(self._check)
        self.cancel.clicked.connect(self.reject)
        self.start.clicked.connect(self._start)

    # --- what can be measured -----------------------------------------------------------------------------------------

    def _offer(self, steps: dict[str, int]) -> None:
        """All models, finished runs, and the last checkpoints of runs that have no model yet."""
        rows, entries = self.context.live.rows, self.context.shelf.entries
        has_model = {row.id for row in rows if row.model}
        names = {row.id: row for row in rows}
        every = offers_of(rows, entries, self._ticked)
        offers = [offer for offer in every if offer.word in has_model or offer.word not in names]
        going = [
            Offer(
                f"{run}{AT}last",
                self.tr("%s · checkpoint %s") % (names[run].name, f"{step:,}"),
                "runs",
                run,
                names[run].state,
            )
            for run, step in steps.items()
        ]
        ticked = set(self.subjects.words()) | set(self._ticked) | {f"{word}{AT}last" for word in self._ticked}
        self.subjects.set_offers([*going, *offers], list(ticked))
        usable = [(str(entry.path), entry.name) for entry in entries if entry.info is not None]
        self.teacher.set_options([("", self.tr("none")), *usable])
        self._look()

    # --- what the form says -------------------------------------------------------------------------------------------

    def _take_preset(self, value: object) -> None:
        if value != OWN:
            self.tasks.setText(", ".join(PRESETS.get(str(value), ())))
        self._look()

    def _tasks(self) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.tasks.text().split(",") if word.strip())

    def recipe(self) -> EvaluateRecipe:
        """What the form asks for, of no model yet. Raises BadRecipe where a field can't be used."""
        data = [str(path) for path in self.data.paths()]
        limit = self.limit.value()
        raw: dict[str, Any] = {
            "kind": "evaluate",
            "model": str(self.context.home.root),
            "tasks": list(self._tasks()),
            "task_dir": self.folder.text().strip() or None,
            "limit": None if limit is None else int(limit),
            "run_code": self.consent.isChecked() and bool(self._code_tasks()),
            "minimal_pairs": self.pairs.text().strip() or None,
            "data": data,
            "teacher": (str(self.teacher.value() or "") or None) if data else None,
            "calibration": self.calibration.isChecked() and bool(data),
            "written": 50 if self.writes.isChecked() and data else 0,
            "speed": self.speed.isChecked(),
            "anew": self.anew.isChecked(),
            "share_device": self.beside.isChecked(),
        }
        made = parse_recipe(raw, "The form")
        assert isinstance(made, EvaluateRecipe)
        return made

    def _code_tasks(self) -> list[str]:
        try:
            return [task for task in parse_tasks(self._tasks()) if needs_consent(task)]
        except BadRecipe:
            return []

    def _look(self) -> None:
        """Something was changed: what hangs on it is shown at once, what is wrong with it when the typing pauses."""
        coded = self._code_tasks()
        self.consent_card.setVisible(bool(coded))
        names = ", ".join((known(task) or BENCHMARKS["humaneval"]).title for task in coded)
        self.consent_words.setText(
            self.tr(
                "%s runs programs that the model writes, on this machine. They get a process of their own, an empty folder, and limits on "
                "time, memory and files; where the system allows it no network. That contains mistakes, not malice."
            )
            % names
        )
        has_text = bool(self.data.paths())
        for widget in (self.teacher, self.calibration, self.writes):
            widget.setEnabled(has_text)
            widget.setToolTip("" if has_text else self.tr("This takes text to read."))
        self._pause.start()
        self._show()

    def _check(self) -> None:
        try:
            recipe = self.recipe()
        except BadRecipe as trouble:
            self._problems = [Problem(field="", text=str(trouble))]
            self._show()
            return
        home, rows = self.context.home, list(self.context.live.rows)
        self._checking.ask(
            lambda: (problems_of(home, recipe), like(home, recipe, rows)), self._take_check, self.context.trouble
        )

    def _take_check(self, found: tuple[list[Problem], Like | None]) -> None:
        self._problems, self._like = found
        self._show()

    def _fields(self) -> dict[str, Field]:
        return {
            "tasks": self.tasks_field, "task_dir": self.folder_field, "limit": self.limit_field, "minimal_pairs": self.pairs_field,
            "teacher": self.teacher_field,
        }  # fmt: skip

    def _asks_nothing(self) -> bool:
        return not (self._tasks() or self.pairs.text().strip() or self.data.paths() or self.speed.isChecked())

    def why_not(self) -> str:
        """Why it can't be started now, or nothing."""
        if self._starting:
            return self.tr("Starting…")
        if not self.subjects.words():
            return self.tr("Tick a model or a checkpoint.")
        if self._asks_nothing():
            return self.tr("Choose benchmarks, minimal pairs, text or speed.")
        if self._code_tasks() and not self.consent.isChecked():
            return self.tr("Allow the programs of %s to be run, or leave it out.") % ", ".join(self._code_tasks())
        return next((problem.text for problem in self._problems), "")

    def _show(self) -> None:
        fields, asks = self._fields(), not self._asks_nothing()
        told = {problem.field: problem.text for problem in self._problems} if asks else {}
        for name, field in fields.items():
            field.set_problem(told.get(name, ""))
        self.limit_field.set_problem(self.limit.problem() or told.get("limit", ""))
        why_not = self.why_not() or self.limit.problem()
        beside = [text for name, text in told.items() if name not in fields and name != "run_code"]
        self.problem.setText(beside[0] if beside else "")
        self.problem.setVisible(bool(beside))
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not)
        self.cost.setText(why_not if why_not and not beside else self._cost_words())
        count = len(self.subjects.words())
        self.start.setText(self.tr("Evaluate") if count < 2 else self.tr("Evaluate %d models") % count)

    def _cost_words(self) -> str:
        again = self.tr("What was measured before with the same settings comes from the cache at once.")
        if self._like is None:
            return self.tr("Nothing like this was measured here yet; the run tells how far it is.") + " " + again
        took = duration_text(self._like.seconds)
        if self._like.parameters:
            told = self.tr("The last one like this took %s for a model of %s parameters.")
            return told % (took, count_text(self._like.parameters)) + " " + again
        return self.tr("The last one like this took %s.") % took + " " + again

    # --- files and the start ------------------------------------------------------------------------------------------

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Files of the benchmarks"))
        if chosen:
            self.folder.setText(chosen)

    def _ask_pairs(self) -> None:
        kinds = self.tr("Minimal pairs (*.jsonl *.ndjson *.zip)")
        chosen, _ = QFileDialog.getOpenFileName(self, self.tr("Minimal pairs"), "", kinds)
        if chosen:
            self.pairs.setText(chosen)

    def _start(self) -> None:
        if self.why_not():
            return
        try:
            recipe = self.recipe()
        except BadRecipe as trouble:
            self._refuse(trouble)
            return
        home, subjects = self.context.home, self.subjects.words()
        self._starting = True
        self._show()
        done = [run_of(word) for word in subjects]
        in_background(self, lambda: begin(home, recipe, subjects), lambda runs: self._started(runs, done), self._refuse)

    def _started(self, runs: list[str], subjects: list[str]) -> None:
        self.started.emit(runs, subjects)
        self.accept()

    def _refuse(self, trouble: Trouble) -> None:
        self._starting = False
        self._show()
        self.problem.setText(str(trouble))
        self.problem.show()
