"""Where the tokens come from, and the dials of each source."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from core.distill import DistillRecipe
from core.numbers import bytes_text, count_text
from core.objectives import OBJECTIVES
from core.plan import Plan
from desktop_app import theme
from desktop_app.forms import DescribedChoice, Field, Option, Options, Segmented
from desktop_app.plan.choosing import source_rows
from desktop_app.plan.dials import Dial
from desktop_app.plan.draft import Draft
from desktop_app.plan.options import FoundCache, Offers, source_changes


class SourceInput(QWidget):
    """`changed` carries the fields of the draft that the user changed."""

    changed = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = Options(source_rows((), "corpus"))
        self.field = Field(self.tr("What the teacher is asked"), self.choice)
        self.share = Dial("on_policy_share", self.tr("Share that the student writes (λ)"))
        self.sampling = Dial("sampling_temperature", self.tr("Temperature of its writing"))
        self.new_tokens = Dial("new_tokens", self.tr("Longest continuation, in tokens"))
        self.mix = Dial("teacher_mix", self.tr("Teacher mixed in (α)"))
        self.new_tokens.edit.setPlaceholderText(self.tr("half a block"))
        self.top_k = Dial("top_k", self.tr("Likeliest tokens kept (k)"))
        self.cache = DescribedChoice()
        self.cache_field = Field(self.tr("Which answers"), self.cache)
        self.tail = Segmented([("bucket", self.tr("Their mass")), ("sample", self.tr("Drawn at random"))])
        self.tail_field = Field(self.tr("What is kept of the other tokens"), self.tail)
        self.own_words, self.answers = QWidget(), QWidget()
        _grid(self.own_words, (self.share, self.sampling), (self.new_tokens, self.mix))
        _grid(self.answers, (self.cache_field,), (self.top_k, self.tail_field))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.field, self.own_words, self.answers):
            layout.addWidget(one)
        self._connect()

    def _connect(self) -> None:
        self.choice.chosen.connect(lambda name: self.changed.emit(source_changes(name)))
        self.cache.chosen.connect(lambda folder: self.changed.emit({"cache": folder or None}))
        self.tail.chosen.connect(lambda tail: self.changed.emit({"tail": tail}))
        for dial in self.dials():
            dial.changed.connect(self.changed)

    def dials(self) -> tuple[Dial, ...]:
        return (self.share, self.sampling, self.new_tokens, self.mix, self.top_k)

    def fields(self) -> dict[str, Field]:
        placed = {"source": self.field, "cache": self.cache_field, "tail": self.tail_field}
        return placed | {dial.name: dial for dial in self.dials()}

    def forget_typed(self) -> None:
        for dial in self.dials():
            dial.forget_typed()

    def show_draft(self, draft: Draft, plan: Plan | None, offers: Offers | None) -> None:
        source = draft.value("source")
        found = offers if offers is not None else Offers()
        self.choice.set_options(source_rows(plan.sources if plan is not None else (), source))
        self.choice.choose(source)
        self.own_words.setVisible(source == "on-policy")
        self.answers.setVisible(source == "cache")
        for dial in self.dials():
            dial.show_draft(draft)
        self._show_mix(draft)
        self._show_caches(draft, found.caches)
        self._show_tail(draft)

    def _show_mix(self, draft: Draft) -> None:
        """Only a reverse KL weighs mixed samples back; a mix that is set already can always be taken back."""
        allowed = draft.value("objective") == "reverse_kl" or bool(draft.value("teacher_mix"))
        self.mix.edit.setEnabled(allowed)
        why_not = self.tr("Only with the objective %s, whose single-step form weighs mixed samples back (MiniLLM).")
        described = DistillRecipe.model_fields["teacher_mix"].description or ""
        self.mix.set_help(described if allowed else why_not % OBJECTIVES["reverse_kl"].title)

    def _show_tail(self, draft: Draft) -> None:
        facts = OBJECTIVES[draft.value("objective")]
        refused = not facts.from_sample and draft.value("tail") != "sample"
        biased = self.tr("%s is biased on classes drawn at random.") % facts.title
        self.tail.allow("sample", biased if refused else "")
        described = DistillRecipe.model_fields["tail"].description or ""
        self.tail_field.set_help(f"{described} {biased}" if refused else described)
        self.tail.choose(draft.value("tail"))
        named = draft.value("cache") is not None  # then it says both itself
        self.top_k.setVisible(not named)
        self.tail_field.setVisible(not named)

    def _show_caches(self, draft: Draft, caches: tuple[FoundCache, ...]) -> None:
        chosen = draft.value("cache")
        rows = [Option("", self.tr("Made when they are needed, or found again"))]
        rows += sorted((_row(found, chosen) for found in caches), key=lambda row: bool(row.why_not))
        if chosen is not None and chosen not in {row.value for row in rows}:
            rows.append(Option(chosen, chosen))
        self.cache.describe(rows)
        self.cache.choose(chosen or "")
        self.cache.setToolTip(chosen or "")
        said = next((self._about(found) for found in caches if str(found.info.folder) == chosen), "")
        none = self.tr("No answers are kept on this machine yet: this run's will be the first.")
        others = self.tr(
            "One pass of the teacher keeps its answers in the data folder; later runs on the same text find them."
        )
        self.cache_field.set_help(said or (others if caches else none))

    def _about(self, found: FoundCache) -> str:
        if found.why_not:
            return found.why_not
        info = found.info
        kept = self.tr("%d likeliest tokens of each position") % (info.top_k or 0)
        size = self.tr("%s on disk") % bytes_text(info.bytes)
        tokens = self.tr("%s tokens of text") % count_text(info.tokens or 0)
        return f"{tokens}, {kept}, {size}."

    def unread(self) -> dict[str, str]:
        """Why a dial in sight can't be read, by field of the recipe."""
        shown = [dial for dial in self.dials() if dial.isVisibleTo(self)]
        return {dial.name: why for dial in shown if (why := dial.why_unread())}


def _row(found: FoundCache, chosen: str | None) -> Option:
    """Its name, how much is in it, and why it doesn't fit; one that is chosen already says that beneath the list."""
    info, folder = found.info, str(found.info.folder)
    kept = [f"k {info.top_k}" if info.top_k else "", bytes_text(info.bytes)]
    return Option(
        folder, info.name, " · ".join(part for part in kept if part), "", found.why_not if folder != chosen else ""
    )


def _grid(widget: QWidget, *rows: tuple[QWidget, ...]) -> None:
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(2 * theme.SPACE)
    grid.setColumnStretch(0, 1)
    grid.setColumnStretch(1, 1)
    for at, row in enumerate(rows):
        for column, each in enumerate(row):
            grid.addWidget(each, at, column, 1, 2 if len(row) == 1 else 1, Qt.AlignmentFlag.AlignTop)
