"""The Compare page: models and runs side by side, everything ever measured, and whose answers were judged better.

What is ticked stands as chips; figures are read off the window's thread, and grow while evaluations of the ticked models go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QEvent, Qt
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core import compare, report
from core.compare import Comparison
from core.errors import Trouble
from core.files import write_text
from core.radar import SCALES, Column, Scale
from core.scores import Score, told_so_far
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.compare.axes import place_new
from desktop_app.compare.chips import ChipFacts, Chips
from desktop_app.compare.curves_pane import CurvesPane
from desktop_app.compare.judged import JudgedPane
from desktop_app.compare.leaderboard import LeaderboardPane
from desktop_app.compare.pick_list import PickDialog, offers_of
from desktop_app.compare.quality_pane import QualityPane
from desktop_app.compare.reading import Seen, control_of, see
from desktop_app.compare.scores_pane import ScoresPane
from desktop_app.compare.side_panes import SamplesPane, SettingsPane
from desktop_app.context import Context
from desktop_app.evaluate.dialog import EvaluateDialog
from desktop_app.evaluate.judging import JudgeDialog
from desktop_app.forms import Segmented
from desktop_app.forms.field import button
from desktop_app.forms.parts import words as words_label
from desktop_app.live import Picture
from desktop_app.page import Page
from desktop_app.runs.empty import Empty
from desktop_app.work import Latest, in_background

TICKED = "compare/ticked"
SPLITTER = "compare/scores"


class ComparePage(Page):
    """`opened(models=paths)` and `opened(runs=ids)` add to what is ticked; `opened(area="leaderboard")` shows another part;
    `opened(evaluate=words)` asks what to measure of these.
    """

    name = "compare"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._words: list[str] = []
        self._numbers: dict[str, int] = {}  # mark and colour, kept while it is ticked
        self._hidden: set[str] = set()
        self._scale: Scale = "raw"
        self._reference: str | None = None
        self._title = ""  # of a comparison that is kept
        self._kept: list[str] = []
        self._seen: Seen | None = None
        self._told: dict[str, Mapping[Column, Score]] = {}  # by run, figures of evaluations that go on
        self._mark: tuple[object, ...] = ()
        self._restored = self._on_screen = False
        self._latest, self._keeping = Latest(self), Latest(self)
        self._make_parts()
        self._lay_out()
        self._connect()
        self._show_state()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.areas = Segmented(
            [
                ("side", self.tr("Side by side")),
                ("leaderboard", self.tr("Leaderboard")),
                ("judged", self.tr("Judged")),
            ]
        )
        self.areas.setAccessibleName(self.tr("Part of the page"))
        self.kept = button(self.tr("Comparisons"), "folder_open")
        self.export_button = button(self.tr("Export"), "export")
        self.control = button(self.tr("Control run"), "distill")
        self.judge = button(self.tr("Judge…"), "compare")
        self.evaluate = button(self.tr("Evaluate…"), "measure", "primary")
        self.chips = Chips()
        self.notice = words_label("warning")
        self.scores, self.quality = ScoresPane(), QualityPane()
        self.curves, self.settings, self.samples = CurvesPane(self.context), SettingsPane(), SamplesPane()
        self.tabs = QTabWidget()
        self.empty = Empty()
        self.pages = QStackedWidget()
        self.area = QStackedWidget()

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Compare"))
        theme.set_role(title, "head")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(title)
        head.addSpacing(theme.SPACE)
        head.addWidget(self.areas)
        head.addStretch(1)
        for one in (self.kept, self.export_button, self.control, self.judge, self.evaluate):
            head.addWidget(one)
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.setAccessibleName(self.tr("Side by side"))
        for pane, text in (
            (self.scores, self.tr("Figures")),
            (self.quality, self.tr("Quality and cost")),
            (self.curves, self.tr("Curves")),
            (self.settings, self.tr("Settings that differ")),
            (self.samples, self.tr("Samples")),
        ):
            self.tabs.addTab(pane, text)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.tabs)
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.chips)
        column.addWidget(self.notice)
        column.addWidget(self.pages, 1)
        self.area.addWidget(side)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.area, 1)

    @cached_property
    def leaderboard(self) -> LeaderboardPane:
        """Made when it is first opened, as `judged` is, so that the page opens quickly."""
        made = LeaderboardPane(self.context)
        made.compare_wanted.connect(self._take_words)
        self.area.addWidget(made)
        return made

    @cached_property
    def judged(self) -> JudgedPane:
        made = JudgedPane(self.context)
        made.judge_wanted.connect(self.open_judge)
        self.area.addWidget(made)
        return made

    def _connect(self) -> None:
        context = self.context
        self.areas.chosen.connect(self.show_area)
        self.kept.clicked.connect(lambda: self._pop_up(self.kept_menu(), self.kept))
        self.export_button.clicked.connect(lambda: self._pop_up(self._export_menu(), self.export_button))
        self.control.clicked.connect(self._start_control)
        self.judge.clicked.connect(self.open_judge)
        self.evaluate.clicked.connect(lambda: self.open_evaluate())
        self.chips.add_wanted.connect(self.ask_more)
        self.chips.switched.connect(self._switch)
        self.chips.removed.connect(self.remove)
        self.scores.scale_chosen.connect(self._choose_scale)
        self.scores.reference_chosen.connect(self._choose_reference)
        for pane in (self.scores, self.quality):
            pane.exported.connect(lambda path: context.say(self.tr("Written to %s") % path, "good"))
            pane.troubled.connect(context.trouble)
        self.tabs.currentChanged.connect(lambda _: self._watch())
        self.empty.acted.connect(self._act_on_emptiness)
        self.scores.splitter.splitterMoved.connect(lambda *_: self._remember())
        context.live.listed.connect(lambda _: self._runs_changed())
        context.live.advanced.connect(self._advance)
        self.make_shortcuts()

    def commands(self) -> list[Command]:
        return [
            Command("compare.add", self.tr("Add models or runs to compare…"), self.ask_more, "add", "Ctrl+Shift+A"),
            Command("compare.evaluate", self.tr("Evaluate…"), self.open_evaluate, "measure", "Ctrl+E"),
            Command("compare.judge", self.tr("Let a model judge answers…"), self.open_judge, "compare"),
            Command("compare.report", self.tr("Export the comparison as a report…"), partial(self._ask_where, "html"), "export", "", self._why_not_export),
            Command("compare.keep", self.tr("Keep this comparison…"), self._ask_name, "save", "Ctrl+S", self._why_not_export),
        ]  # fmt: skip

    # --- what the window asks

    def opened(self, **what: Any) -> None:
        self._on_screen = True
        if not self._restored:
            self._restored = True
            self.scores.splitter.restoreState(self.context.settings.layout(SPLITTER))
            self._words = _words_of(self.context.settings.layout(TICKED))
        wanted = [str(each) for key in ("models", "runs") for each in what.get(key) or ()]
        if what.get("area"):
            self.show_area(str(what["area"]))
        if wanted:
            self.show_area("side")
            self._words = list(dict.fromkeys([*self._words, *wanted]))
        self._look_for_kept()
        self.look()
        self._show_area(str(self.areas.value()))
        self.chips.add.setFocus()
        if what.get("evaluate"):
            self.open_evaluate([str(each) for each in what["evaluate"]])

    def left(self) -> None:
        self._on_screen = False
        self.context.live.watch(self, ())

    def show_area(self, area: str) -> None:
        """`side`, `leaderboard` or `judged`."""
        self.areas.choose(area)
        self._show_area(area)

    def _show_area(self, area: str) -> None:
        if area == "side":
            self.area.setCurrentIndex(0)
        else:
            self.area.setCurrentWidget(self.leaderboard if area == "leaderboard" else self.judged)
        pane = self.area.currentWidget()
        for one in (self.kept, self.export_button, self.control):
            one.setVisible(area == "side")
        if isinstance(pane, LeaderboardPane | JudgedPane):
            pane.look()

    # --- what is ticked

    def words(self) -> list[str]:
        """What is ticked: folders of models and ids of runs."""
        return list(self._words)

    def _take_words(self, words: Sequence[str]) -> None:
        self._words = list(dict.fromkeys(words))
        self.show_area("side")
        self.look()

    def ask_more(self) -> None:
        offers = offers_of(self.context.live.rows, self.context.shelf.entries, self._words)
        dialog = PickDialog(offers, self._words, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.picked.connect(self._take_words)
        dialog.open()

    def remove(self, word: str) -> None:
        self._words = [each for each in self._words if each != word]
        self._hidden.discard(word)
        self.look()

    def _switch(self, word: str, shown: bool) -> None:
        (self._hidden.discard if shown else self._hidden.add)(word)
        self._show_comparison()

    def _number(self, words: Sequence[str]) -> None:
        """Each keeps its mark and colour as long as it is ticked; a new one takes the first that is free."""
        self._numbers = {word: number for word, number in self._numbers.items() if word in words}
        for word in words:
            if word not in self._numbers:
                taken = set(self._numbers.values())
                self._numbers[word] = next(number for number in range(len(words) + 1) if number not in taken)

    def look(self) -> None:
        """Read the figures of what is ticked."""
        self._number(self._words)
        self._hidden &= set(self._words)
        self.context.settings.set_layout(TICKED, QByteArray(json.dumps(self._words).encode()))
        if not self._words:
            self._latest.drop()
            self._seen = None
            self._show_chips()
            self._show_state()
            return
        home, words, rows = self.context.home, list(self._words), list(self.context.live.rows)
        scale, reference = self._scale, self._reference
        self._mark = self._runs_mark()
        self._latest.ask(lambda: see(home, words, rows, scale, reference), self._take, self.context.trouble)
        self._show_chips()
        self._show_state()

    def _take(self, seen: Seen) -> None:
        self._seen = replace(seen, comparison=replace(seen.comparison, scale=self._scale, name=self._title))
        if self._reference is None:
            self._reference = seen.comparison.reference
        pictures = self.context.live.pictures
        alive = {one.run for one in seen.going}
        self._told = {run: told for run, told in self._told.items() if run in alive}
        for run in alive & pictures.keys():
            self._told[run] = told_so_far(pictures[run].history)
        self._show_chips()
        self._show_state()
        self._show_comparison()
        self._watch()

    # --- runs that go on

    def _runs_mark(self) -> tuple[object, ...]:
        """What of the list of runs the figures hang on."""
        rows, ticked = self.context.live.rows, set(self._words)
        return tuple((row.id, row.state, row.model) for row in rows if row.kind == "evaluate" or row.id in ticked)

    def _runs_changed(self) -> None:
        if self._on_screen and self._words and self._runs_mark() != self._mark:
            self.look()
            if "leaderboard" in self.__dict__:
                self.leaderboard.grow_old()

    def _watch(self) -> None:
        """Follow the evaluations of what is ticked, and the runs whose curves are on screen."""
        if not self._on_screen:
            return
        runs = [one.run for one in self._seen.going] if self._seen else []
        if self.tabs.currentWidget() is self.curves and self._seen:
            self.curves.draw(self._seen.comparison, self._marks(), frozenset(self._hidden))
            runs += self.curves.runs()
        self.context.live.watch(self, dict.fromkeys(runs))

    def _advance(self, run: str, picture: Picture) -> None:
        if not self._on_screen or self._seen is None:
            return
        if any(one.run == run for one in self._seen.going):
            told = told_so_far(picture.history)
            if told != self._told.get(run):
                self._told[run] = told
                self._show_comparison()
        self.curves.advance(run, picture)

    # --- what is shown

    def _marks(self) -> list[int]:
        assert self._seen is not None
        return [self._numbers[entry.word] for entry in self._seen.comparison.entries]

    def _show_chips(self) -> None:
        seen = self._seen
        names = {entry.word: entry.name for entry in seen.comparison.entries} if seen else {}
        rows = {row.id: row.name for row in self.context.live.rows}
        going = {one.word for one in seen.going} if seen else set()
        facts = []
        for word in self._words:
            note = self.tr("being evaluated") if word in going else ""
            name = names.get(word) or rows.get(word) or Path(word).name
            trouble = seen.troubles.get(word, "") if seen else ""
            facts.append(ChipFacts(word, name, self._numbers[word], word not in self._hidden, note, trouble))
        self.chips.set_chips(facts)
        self.chips.setVisible(bool(self._words))
        told = [f"{one.name}: {one.trouble}" for one in facts if one.trouble]
        self.notice.setText("\n".join(told))
        self.notice.setVisible(bool(told))

    def _show_state(self) -> None:
        if not self._words:
            self.empty.say(
                "compare",
                self.tr("Nothing to compare yet."),
                self.tr("Put students, teachers and runs side by side: what they score, what they cost, and what was set differently."),
                [("add", self.tr("Add models or runs…")), ("leaderboard", self.tr("Open the leaderboard"))],
            )  # fmt: skip
        elif self._seen is None:
            self.empty.say("compare", self.tr("Reading the figures…"), "", [])
        elif not self._seen.comparison.entries:
            told = self.tr("None of what is ticked can be read.")
            self.empty.say("error", told, "", [("add", self.tr("Add models or runs…"))])
        full = self._seen is not None and bool(self._seen.comparison.entries)
        self.pages.setCurrentWidget(self.tabs if full else self.empty)
        why_not = self._why_not_export()
        for one in (self.export_button, self.control):
            one.setEnabled(not why_not)
            one.setToolTip(why_not)
        if not why_not:
            why_not = self._why_not_control()
            self.control.setEnabled(not why_not)
            self.control.setToolTip(why_not or self.tr("Train the same student on the same data without its teacher."))

    def _show_comparison(self) -> None:
        if self._seen is None:
            return
        comparison, marks, hidden = self._seen.comparison, self._marks(), frozenset(self._hidden)
        new = place_new(comparison, self._seen.going, self._told)
        self.scores.show_comparison(comparison, marks, hidden, new, self._seen.going)
        self.quality.show_comparison(comparison, marks, hidden)
        self.settings.show_comparison(comparison, marks)
        self.samples.show_entries(comparison.entries, marks)
        if self.tabs.currentWidget() is self.curves:
            self.curves.draw(comparison, marks, hidden)
        self._show_chips()

    def _choose_scale(self, scale: str) -> None:
        self._scale = next(each for each in SCALES if each == scale)
        if self._seen is not None:
            reference = self._reference or (
                self._seen.comparison.entries[0].word if self._seen.comparison.entries else None
            )
            self._reference = reference
            self._seen = replace(
                self._seen, comparison=replace(self._seen.comparison, scale=self._scale, reference=reference)
            )
            self._show_comparison()

    def _choose_reference(self, word: str) -> None:
        self._reference = word
        if self._seen is not None:
            self._seen = replace(self._seen, comparison=replace(self._seen.comparison, reference=word))
            self._show_comparison()

    def _act_on_emptiness(self, name: str) -> None:
        if name == "leaderboard":
            self.show_area("leaderboard")
        else:
            self.ask_more()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_seen", None) is not None:
            self._show_comparison()

    # --- evaluating, judging, a control run

    def open_evaluate(self, words: Sequence[str] = ()) -> None:
        dialog = EvaluateDialog(self.context, list(words) or self._words, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.started.connect(self._evaluations_started)
        dialog.open()

    def _evaluations_started(self, runs: list[str], words: list[str]) -> None:
        self.context.live.look()
        self._words = list(dict.fromkeys([*self._words, *words]))
        self.look()
        count = len(runs)
        one, several = self.tr("The evaluation waits for its turn."), self.tr("%d evaluations wait for their turn.")
        text = one if count == 1 else several % count
        self.context.say(
            text, "good", action_text=self.tr("Show"), action=lambda: self.context.open("runs", run=runs[-1])
        )

    def open_judge(self) -> None:
        folders = [str(e.path) for e in self._seen.comparison.entries if e.path is not None] if self._seen else []
        dialog = JudgeDialog(self.context, folders, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.started.connect(self._judging_started)
        dialog.open()

    def _judging_started(self, run: str) -> None:
        self.context.live.look()
        text = self.tr("The judging waits for its turn; its verdicts appear here.")
        self.context.say(text, "good", action_text=self.tr("Show"), action=lambda: self.context.open("runs", run=run))

    def _guided(self) -> list[tuple[str, str]]:
        """(run, name) of the ticked runs that a teacher guided."""
        entries = self._seen.comparison.entries if self._seen else ()
        return [(e.run, e.name) for e in entries if e.run and e.teacher and e.settings.get("use_teacher") is True]

    def _why_not_control(self) -> str:
        return (
            ""
            if self._guided()
            else self.tr("Tick a distillation that a teacher guided: its control run leaves the teacher out.")
        )

    def _start_control(self) -> None:
        guided = self._guided()
        if len(guided) == 1:
            self._make_control(guided[0][0])
            return
        menu = QMenu(self)
        for run, name in guided:
            menu.addAction(self.tr("%s, without the teacher") % name, partial(self._make_control, run))
        self._pop_up(menu, self.control)

    def _make_control(self, run: str) -> None:
        home = self.context.home

        def done(made: str) -> None:
            self.context.live.look()
            self._words.append(made)
            self.look()
            text = self.tr("The same student without a teacher waits for its turn.")
            self.context.say(
                text, "good", action_text=self.tr("Show"), action=lambda: self.context.open("runs", run=made)
            )

        in_background(self, lambda: control_of(home, run), done, self.context.trouble)

    # --- comparisons that are kept, and files

    def _why_not_export(self) -> str:
        return "" if self._seen and self._seen.comparison.entries else self.tr("Tick models or runs first.")

    def comparison(self) -> Comparison:
        assert self._seen is not None
        return replace(self._seen.comparison, name=self._title)

    def _look_for_kept(self) -> None:
        home = self.context.home
        self._keeping.ask(lambda: compare.saved(home), self._take_kept, self.context.trouble)

    def _take_kept(self, names: list[str]) -> None:
        self._kept = names

    def kept_menu(self) -> QMenu:
        menu = QMenu(self)
        keep = menu.addAction(self.tr("Keep this one…"), self._ask_name)
        keep.setEnabled(not self._why_not_export())
        if self._title in self._kept:
            menu.addAction(self.tr("Forget “%s”") % self._title, self._forget)
        menu.addAction(self.tr("Begin a new one"), self._begin_anew)
        menu.addSeparator()
        for name in self._kept:
            menu.addAction(name.replace("&", "&&"), partial(self.reopen, name))
        if not self._kept:
            menu.addAction(self.tr("None is kept yet")).setEnabled(False)
        return menu

    def _ask_name(self) -> None:
        text, well = QInputDialog.getText(self, self.tr("Keep the comparison"), self.tr("Name"), text=self._title)
        if well and text.strip():
            self.keep(text.strip())

    def keep(self, name: str) -> None:
        """Keep what is ticked, the scale and the reference under a name; figures are read anew when it is opened."""
        self._title = name
        home, comparison = self.context.home, replace(self.comparison(), name=name)

        def done(_: Path) -> None:
            self._look_for_kept()
            self.context.say(self.tr("Kept as “%s”.") % name, "good")

        in_background(self, lambda: compare.save(home, comparison), done, self.context.trouble)

    def reopen(self, name: str) -> None:
        home = self.context.home
        in_background(self, lambda: compare.reopen(home, name), self._reopened, self.context.trouble)

    def _reopened(self, comparison: Comparison) -> None:
        self._title, self._scale, self._reference = comparison.name, comparison.scale, comparison.reference
        self._hidden.clear()
        self._take_words([entry.word for entry in comparison.entries])

    def _forget(self) -> None:
        home, name = self.context.home, self._title
        self._title = ""
        in_background(self, lambda: compare.forget(home, name), lambda _: self._look_for_kept(), self.context.trouble)

    def _begin_anew(self) -> None:
        self._title, self._reference = "", None
        self._take_words([])

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction(self.tr("Report (HTML)…"), partial(self._ask_where, "html"))
        menu.addAction(self.tr("Tables (Markdown)…"), partial(self._ask_where, "md"))
        return menu

    def _ask_where(self, kind: str) -> None:
        plain = "".join(letter if letter.isalnum() or letter in " .-_" else "-" for letter in self._title).strip(" .")
        kinds = self.tr("Reports (*.html)") if kind == "html" else self.tr("Markdown (*.md)")
        path, _ = QFileDialog.getSaveFileName(
            self, self.tr("Export the comparison"), f"{plain or 'comparison'}.{kind}", kinds
        )
        if path:
            self.export(Path(path) if Path(path).suffix else Path(path).with_suffix(f".{kind}"))

    def export(self, path: Path) -> None:
        """Write the comparison as a report in HTML, or as Markdown, by the ending of the path."""
        comparison = self.comparison()

        def work() -> Path:
            text = report.to_markdown(comparison) if path.suffix == ".md" else report.to_html(comparison)
            try:
                write_text(path, text)
            except OSError as error:
                raise Trouble(f"{path} can't be written: {error.strerror}.", "Choose another place.") from error
            return path

        in_background(
            self, work, lambda at: self.context.say(self.tr("Written to %s") % at, "good"), self.context.trouble
        )

    def _pop_up(self, menu: QMenu, at: QWidget) -> None:
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        corner = at.rect().bottomLeft() if self.isLeftToRight() else at.rect().bottomRight()
        menu.popup(at.mapToGlobal(corner))

    def _remember(self) -> None:
        if self.isVisible():
            self.context.settings.set_layout(SPLITTER, self.scores.splitter.saveState())


def _words_of(state: QByteArray) -> list[str]:
    """What was ticked when the page was left; nothing where that can't be read."""
    try:
        read = json.loads(bytes(state.data()) or b"[]")
    except ValueError:
        return []
    return [word for word in read if isinstance(word, str)] if isinstance(read, list) else []
