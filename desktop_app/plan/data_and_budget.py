"""The text and the budget: what is read, and how many tokens of it, against what others found enough."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core import law
from core.documents import DEFAULT_SEPARATOR
from core.numbers import bytes_text, count_text
from core.plan import BYTES_PER_TOKEN, TOKENS_PER_PARAMETER, Plan
from desktop_app import theme
from desktop_app.forms import AmountEdit, Field, FileList, MoreSettings
from desktop_app.forms.field import button
from desktop_app.plan.amounts import follow, forget
from desktop_app.plan.draft import Draft
from desktop_app.plan.log_slider import LogSlider, Mark

FEWEST_TOKENS = 64
LEAST_TOKENS, MOST_TOKENS = 1e4, 1e12


class DataCard(QWidget):
    """`changed` carries fields of the draft (`more` fields under `more`); `sample_wanted` asks for the sample's stories."""

    changed = Signal(dict)
    more_changed = Signal(str, object)
    sample_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.files = FileList(self.tr("Drop text or data here: any file or folder that the Data page reads"))
        self.files_field = Field(self.tr("Text to train on"), self.files)
        self.use_sample = button(self.tr("Use the sample's stories"), "data", "quiet")
        self.files_field.beside_label(self.use_sample)
        self.tokens = AmountEdit()
        self.tokens.setFixedWidth(112)
        self.slider = LogSlider(self.tr("Budget in tokens"))
        self.tokens_field = Field(self.tr("Budget: tokens to train on"), self._budget_row())
        self.tokens.setAccessibleName(self.tr("Budget in tokens"))
        self.by_default = button(self.tr("Back to the default"), "undo", "quiet")
        self.tokens_field.beside_label(self.by_default)
        self.separator = QLineEdit()
        self.separator.setPlaceholderText(DEFAULT_SEPARATOR)
        self.separator_field = Field(
            self.tr("Line that parts documents"),
            self.separator,
            self.tr("By default %s where there are such lines; else a file is one document.") % DEFAULT_SEPARATOR,
        )
        self.answers_only = QCheckBox(self.tr("Learn only the answers"))
        self.answers_field = Field(self.tr("Prompts and answers"), self.answers_only)
        self.answers_only.setAccessibleName(self.answers_only.text())
        self.answers_field.label.hide()
        self.budget_words = QLabel()
        self.budget_words.setWordWrap(True)
        theme.set_role(self.budget_words, "small")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        self.more = MoreSettings(self.separator_field, self.tr("More about the text"))
        for one in (self.files_field, self.answers_field, self.tokens_field, self.budget_words, self.more):
            layout.addWidget(one)
        self._connect()

    def _budget_row(self) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.tokens, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.slider, 1, Qt.AlignmentFlag.AlignTop)
        row.setFocusProxy(self.tokens)
        return row

    def _connect(self) -> None:
        self.files.changed.connect(lambda: self.changed.emit({"data": tuple(str(path) for path in self.files.paths())}))
        self.use_sample.clicked.connect(self.sample_wanted)
        self.answers_only.clicked.connect(lambda on: self.changed.emit({"answers_only": on}))
        self.tokens.changed.connect(self._read_tokens)
        self.slider.moved.connect(self._slide)
        self.by_default.clicked.connect(lambda: self.changed.emit({"tokens": None}))
        self.separator.editingFinished.connect(
            lambda: self.more_changed.emit("separator", self.separator.text() or None)
        )

    def fields(self) -> dict[str, Field]:
        return {
            "data": self.files_field,
            "answers_only": self.answers_field,
            "tokens": self.tokens_field,
            "separator": self.separator_field,
        }

    def forget_typed(self) -> None:
        forget(self.tokens)

    def show_draft(self, draft: Draft, no_answers: str | None) -> None:
        """`no_answers` is why only answers can't be learnt; None where no text is chosen yet."""
        paths = [Path(item) for item in draft.data]
        if self.files.paths() != paths:
            self.files.set_paths(paths)
        self.use_sample.setVisible(not draft.data)
        self._show_answers(draft, no_answers)
        follow(self.tokens, draft.tokens)
        self.by_default.setVisible(draft.tokens is not None)
        if not self.separator.hasFocus():
            self.separator.setText(str(draft.more.get("separator") or ""))
        if draft.more.get("separator"):
            self.more.open()

    def _show_answers(self, draft: Draft, no_answers: str | None) -> None:
        asked = bool(draft.value("answers_only"))
        self.answers_field.setVisible(bool(draft.data) or asked)
        self.answers_only.setChecked(asked)
        self.answers_only.setEnabled(asked or no_answers == "")
        told = self.tr("The prompts are read and not learnt; the budget counts what is read.")
        looking = self.tr("Looking for answers in the text…")
        self.answers_field.set_help(looking if no_answers is None else no_answers or told)

    def show_plan(self, plan: Plan | None) -> None:
        if plan is None:
            self.budget_words.setText("")
            self.files_field.set_help("")
            self.tokens_field.set_help(
                self.tr("By default %d for each parameter of the student.") % TOKENS_PER_PARAMETER
            )
            self.slider.set_marks([])
            return
        enough, usual = law.chinchilla_tokens(plan.student_exact), TOKENS_PER_PARAMETER * plan.student_exact
        once = plan.text_bytes / BYTES_PER_TOKEN if plan.text_bytes else enough
        most = max(usual, enough, once, plan.tokens) * 10
        low, high = min(usual, enough, once, plan.tokens) / 10, max(most, 2 * law.steep_tokens(plan.student_exact))
        self.slider.set_range(max(LEAST_TOKENS / 10, low), min(MOST_TOKENS, high))
        self.slider.set_value(plan.tokens, self.tr("%s tokens") % count_text(plan.tokens))
        self.slider.set_marks(self._marks(plan, enough, usual))
        self.tokens.setPlaceholderText(count_text(plan.tokens))
        self.tokens_field.set_help(self._tokens_help(plan))
        self.files_field.set_help(self._text_help(plan))
        self.budget_words.setText(plan.budget_sentence)

    def _marks(self, plan: Plan, enough: float, usual: float) -> list[Mark]:
        marks = [
            Mark(usual, self.tr("default"), self.tr("%d tokens for each parameter") % TOKENS_PER_PARAMETER),
            Mark(enough, self.tr("Chinchilla"), self.tr("Compute-optimal without a teacher: %s") % law.EPOCH.source),
        ]
        marks.append(self._steep_mark(plan.student_exact))
        if plan.text_bytes:
            once = plan.text_bytes / BYTES_PER_TOKEN
            marks.append(Mark(once, self.tr("text once"), self.tr("About %s tokens in the text") % count_text(once)))
        return marks

    def _steep_mark(self, student: float) -> Mark:
        steep, cost = law.steep_tokens(student), law.harms_law(law.CRITICAL_SIZE)
        hint = self.tr(
            "Beyond about %s tokens this student is under %s of the best size for its compute; without a teacher a model of "
            "that size takes %s more compute to reach the same loss, and more and more. Source: %s"
        ) % (count_text(float(f"{steep:.2g}")), f"{cost.size_factor:.0%}", f"{cost.overhead:.0%}", cost.source)
        return Mark(steep, self.tr("Harm's law"), hint)

    def _tokens_help(self, plan: Plan) -> str:
        asked = plan.tokens_reason == "as asked"
        words = "" if asked else self.tr("%s by default: %s.") % (count_text(plan.tokens), plan.tokens_reason)
        if plan.passes is not None:
            reads = self.tr("This reads the text about %s times.") if plan.passes >= 1 else self.tr("This reads about %s of the text.")  # fmt: skip
            amount = f"{plan.passes:.2g}" if plan.passes >= 1 else f"{plan.passes:.0%}"
            words = f"{words} {reads % amount}".strip()
        return words

    def _text_help(self, plan: Plan) -> str:
        if plan.text_bytes is None:
            return ""
        about = count_text(float(f"{plan.text_bytes / BYTES_PER_TOKEN:.2g}"))
        return self.tr("%s of text, about %s tokens at %d bytes each.") % (
            bytes_text(plan.text_bytes),
            about,
            BYTES_PER_TOKEN,
        )

    def _read_tokens(self, value: object) -> None:
        if isinstance(value, int | float) and value >= FEWEST_TOKENS:
            self.changed.emit({"tokens": int(value)})
        elif not self.tokens.text().strip():
            self.changed.emit({"tokens": None})
        else:
            self.changed.emit({})

    def unread(self) -> dict[str, str]:
        """Why the budget can't be read, if it can't."""
        value = self.tokens.value()
        if value is not None and value < FEWEST_TOKENS:
            return {"tokens": self.tr("At least %d tokens are needed.") % FEWEST_TOKENS}
        why = self.tokens.problem()
        return {"tokens": why} if why else {}

    def _slide(self, value: float) -> None:
        tokens = max(FEWEST_TOKENS, round(value))
        self.tokens.setText(count_text(tokens))
        self.changed.emit({"tokens": tokens})
