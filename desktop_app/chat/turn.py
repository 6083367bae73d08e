"""A turn on screen: what was said across the whole width, and under it an answer in each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from core.chat import ENDINGS
from core.numbers import duration_text
from desktop_app import theme
from desktop_app.chat.composer import Words
from desktop_app.chat.heads import NARROW, Member, small, tool
from desktop_app.chat.path import Turn
from desktop_app.chat.written import Written
from desktop_app.forms import parts
from desktop_app.forms.field import button


@dataclass
class Live:
    """An answer on its way: what came of it, and what is going on."""

    text: str = ""
    tokens: int = 0
    status: str = ""
    raw: bool = False
    notes: tuple[str, ...] = ()


class Versions(QWidget):
    """‹ 2/3 ›; hidden, and with nothing in it, where there is one alone: most turns never have another."""

    moved = Signal(int)  # to this index

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what, self._at, self._count = what, 0, 1
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self.hide()

    def show_place(self, at: int, count: int) -> None:
        self._at, self._count = at, count
        if count > 1:
            if not self._row.count():
                self._make()
            self.words.setText(f"{at + 1}/{count}")
            self.back.setEnabled(at > 0)
            self.on.setEnabled(at < count - 1)
        self.setVisible(count > 1)

    def _make(self) -> None:
        self.back, self.on = (
            tool("back", self.tr("Earlier %s") % self._what),
            tool("right", self.tr("Later %s") % self._what),
        )
        self.words = small()
        self.words.setFont(theme.tabular(self.words.font()))
        for one in (self.back, self.words, self.on):
            self._row.addWidget(one)
        self.back.clicked.connect(lambda: self.moved.emit(self._at - 1))
        self.on.clicked.connect(lambda: self.moved.emit(self._at + 1))


class Editor(QWidget):
    """The words of a question, to be changed and said again."""

    sent = Signal(str)
    left = Signal()

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = Words(self.tr("Say this instead"))
        self.resend, self.cancel = button(self.tr("Send again"), "send"), button(self.tr("Keep it"), "", "quiet")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.words)
        column.addWidget(parts.line(self.resend, self.cancel))
        self.words.setPlainText(text)
        self.words.selectAll()
        self.setFocusProxy(self.words)
        self.cancel.clicked.connect(self.left)
        self.words.stopped.connect(self.left)
        self.resend.clicked.connect(self._send)
        self.words.sent.connect(self._send)

    def _send(self) -> None:
        if self.words.toPlainText().strip() and self.resend.isEnabled():
            self.sent.emit(self.words.toPlainText())


class Question(QFrame):
    """What the user said; it can be edited, which makes a branch."""

    edited = Signal(str)
    edit_begun = Signal()
    version_wanted = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "said_card")
        self.text = Written(self.tr("What you said"))
        self.editor: Editor | None = None
        self._why_not = ""
        self.versions = Versions(self.tr("version of what you said"))
        self.edit, self.copy = tool("edit", self.tr("Edit and send again")), tool("copy", self.tr("Copy what you said"))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(12, theme.SPACE, theme.SPACE, theme.SPACE)
        self._row.setSpacing(4)
        self._row.addWidget(self.text, 1, Qt.AlignmentFlag.AlignVCenter)
        for one in (self.versions, self.edit, self.copy):
            self._row.addWidget(one, alignment=Qt.AlignmentFlag.AlignTop)
        self.edit.clicked.connect(self.begin_edit)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.text()))
        self.versions.moved.connect(self.version_wanted)

    def show_turn(self, turn: Turn) -> None:
        self.text.show_text(turn.said.text, plain=True)
        self.versions.show_place(turn.versions.index(turn.said.id), len(turn.versions))

    def allow(self, why_not: str) -> None:
        """Editing sends: not while something is being written."""
        self._why_not = why_not
        self.edit.setEnabled(not why_not)
        self.edit.setToolTip(why_not or self.tr("Edit and send again"))
        if self.editor is not None:
            self.editor.resend.setEnabled(not why_not)
            self.editor.resend.setToolTip(why_not)

    def begin_edit(self) -> None:
        if self.editor is None:
            self.editor = Editor(self.text.text())
            self._row.insertWidget(1, self.editor, 1)
            self.editor.sent.connect(self._resend)
            self.editor.left.connect(self._end_edit)
            self.allow(self._why_not)
        for one in (self.text, self.edit, self.copy):
            one.hide()
        self.editor.setFocus()
        self.edit_begun.emit()

    def _end_edit(self) -> None:
        if self.editor is not None:
            self.editor.hide()
            self.editor.deleteLater()
            self.editor = None
        for one in (self.text, self.edit, self.copy):
            one.show()
        self.edit.setFocus()

    def _resend(self, text: str) -> None:
        self._end_edit()
        self.edited.emit(text)


class AnswerView(QWidget):
    """One column's answer: the text, the figures under it, and what can be done with it."""

    again_wanted = Signal()
    version_wanted = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._whole = ""
        self.text = Written(self.tr("Answer of %s") % name)
        self.waiting, self.figures, self.notes = parts.words("muted"), parts.words("small"), parts.words("small")
        self.figures.setFont(theme.tabular(self.figures.font()))
        self.versions = Versions(self.tr("answer"))
        self.again, self.copy = tool("again", self.tr("Answer again")), tool("copy", self.tr("Copy the answer"))
        self._foot = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._foot.setSpacing(4)
        self._foot.addWidget(self.figures, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        buttons.addStretch(1)
        for one in (self.versions, self.again, self.copy):
            buttons.addWidget(one)
        self._foot.addLayout(buttons)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # as wide as its head
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.text, self.waiting, self.notes):
            layout.addWidget(part)
        layout.addLayout(self._foot)
        layout.addStretch(1)
        self.again.clicked.connect(self.again_wanted)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._whole))
        self.versions.moved.connect(self.version_wanted)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        self._foot.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)

    def set_name(self, name: str) -> None:
        self.text.setAccessibleName(self.tr("Answer of %s") % name)

    def show_live(self, live: Live) -> None:
        self._show(live.text, live.status, "", live.notes, plain=live.raw)
        self.versions.hide()
        for one in (self.again, self.copy):
            one.hide()

    def show_answer(self, turn: Turn, column: str, remarks: Sequence[str], *, raw: bool, figures: bool) -> None:
        """The answer in sight, or that there is none."""
        answer = turn.answer(column)
        if answer is None:
            none = "" if remarks else self.tr("No answer from this model yet.")
            self._show("", none, "", remarks, plain=True)
            self.versions.hide()
        else:
            empty = self.tr("It wrote nothing.") if not answer.text else ""
            ended = self.ending_words(answer.ending)
            words = figures_of(self, answer.facts) if figures else ""
            self._show(answer.text, empty, " · ".join(part for part in (words, ended) if part), remarks, plain=raw)
            self.versions.show_place(turn.shown[column], len(turn.answers[column]))
        self.again.show()
        self.copy.setVisible(answer is not None)

    def ending_words(self, ending: str) -> str:
        """How an answer ended, where that is not by itself."""
        words = {
            "length": self.tr("cut at the longest length"),
            "context": self.tr("the context is full"),
            "halted": self.tr("stopped by you"),
            "failed": self.tr("it failed there"),
            "died": self.tr("the engine died there; the text so far is kept"),
            "stop": self.tr("a stop text came"),
        }
        return words.get(ending, "" if ending == "end" else ENDINGS.get(ending, ending))  # type: ignore[call-overload]

    def allow(self, why_not: str) -> None:
        self.again.setEnabled(not why_not)
        self.again.setToolTip(why_not or self.tr("Answer again"))

    def _show(self, text: str, waiting: str, figures: str, notes: Sequence[str], *, plain: bool) -> None:
        self._whole = text
        shown = text.lstrip(" ").rstrip() if plain else text  # a text that goes on begins with a space
        self.text.show_text(shown, plain=plain)
        self.text.setVisible(bool(text))
        self.waiting.setText(waiting)
        self.waiting.setVisible(bool(waiting) and not text)
        told = [*notes, waiting] if text and waiting else list(notes)
        self.notes.setText("\n".join(told))
        self.notes.setVisible(bool(told))
        self.figures.setText(figures)


def figures_of(widget: QWidget, facts: Mapping[str, Any]) -> str:
    """Speed, time to the first token, length, and what drafting brought."""
    found = []
    if (speed := facts.get("tokens_per_second")) is not None:
        found.append(widget.tr("%s tokens/s") % (f"{speed:.1f}" if speed < 100 else f"{speed:,.0f}"))
    if (first := facts.get("first_token_s")) is not None:
        words = f"{first * 1000:.0f} ms" if first < 1 else duration_text(first)
        found.append(widget.tr("first after %s") % words)
    if (tokens := facts.get("tokens")) is not None:
        found.append(widget.tr("%s tokens") % f"{tokens:,}")
    drafting = facts.get("speculation")
    if drafting:
        if drafting.get("acceptance") is not None:
            found.append(widget.tr("%s of the drafts accepted") % f"{drafting['acceptance']:.0%}")
        if drafting.get("speed_up") is not None:
            found.append(widget.tr("%s times as fast") % f"{drafting['speed_up']:.2g}")
        if not drafting.get("at_once"):
            found.append(widget.tr("drafting switched itself off"))
    return "\u00a0· ".join(part.replace(" ", "\u00a0") for part in found)  # broken between figures, not within them


class Vote(QWidget):
    """Which of the nameless answers is best."""

    voted = Signal(object)  # column, or None for a tie

    def __init__(self) -> None:
        super().__init__()
        self.question = small(self.tr("Which is better?"))
        self.buttons: list[QWidget] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, theme.SPACE, 0, 0)
        self._row.setSpacing(theme.SPACE)
        self._row.addWidget(self.question)
        self._row.addStretch(1)

    def offer(self, letters: Mapping[str, str]) -> None:
        """A button for each column, by its letter, and one for none of them."""
        for old in self.buttons:
            old.hide()
            old.deleteLater()
        self.buttons = []
        choices: list[tuple[str | None, str]] = [
            (column, self.tr("%s is better") % letter) for column, letter in letters.items()
        ]
        for at, (column, text) in enumerate([*choices, (None, self.tr("No difference"))], 1):
            made = button(text)
            made.clicked.connect(lambda _=False, column=column: self.voted.emit(column))
            self._row.insertWidget(at, made)
            self.buttons.append(made)


def _is_raw(turn: Turn, member: Member) -> bool:
    """Whether the answer in sight goes on with the text, as it was written then."""
    answer = turn.answer(member.column)
    mode = answer.facts.get("mode") if answer is not None else None
    return member.raw if mode is None else mode == "raw"


class TurnView(QWidget):
    """One turn. It shows; the page acts."""

    edited = Signal(str, str)  # said, the new words
    version_wanted = Signal(str, int)  # said, which version of it
    answer_wanted = Signal(str, str, int)  # said, column, which answer
    again_wanted = Signal(str, str)  # said, column
    voted = Signal(str, object)  # said, column

    def __init__(self) -> None:
        super().__init__()
        self.turn: Turn | None = None
        self.question, self.vote = Question(), Vote()
        self.verdict = parts.words("small")
        self.answers: dict[str, AnswerView] = {}
        self._row = QHBoxLayout()
        self._row.setSpacing(2 * theme.SPACE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self.question)
        layout.addLayout(self._row)
        layout.addWidget(self.vote)
        layout.addWidget(self.verdict)
        self.vote.hide()
        self.verdict.hide()
        self.question.edited.connect(lambda text: self.edited.emit(self._said(), text))
        self.question.version_wanted.connect(lambda at: self.version_wanted.emit(self._said(), at))
        self.vote.voted.connect(lambda column: self.voted.emit(self._said(), column))

    def _said(self) -> str:
        assert self.turn is not None
        return self.turn.said.id

    def show_turn(
        self,
        turn: Turn,
        order: Sequence[Member],
        live: Mapping[str, Live],
        *,
        blind: Mapping[str, str],
        remarks: Mapping[str, Sequence[str]],
    ) -> None:
        """`order` are the columns as they stand, `blind` the letters of a comparison whose vote is not in yet, `remarks` what is to be
        said of an answer beside its figures.
        """
        self.turn = turn
        self.question.show_turn(turn)
        self._make([member.column for member in order], {member.column: member.name for member in order})
        for member in order:
            view = self.answers[member.column]
            view.set_name(self.tr("Model %s") % blind[member.column] if blind else member.name)
            if member.column in live:
                view.show_live(live[member.column])
            else:
                told = remarks.get(member.column, ())
                view.show_answer(turn, member.column, told, raw=_is_raw(turn, member), figures=not blind)
                view.again.setVisible(not blind)
        ready = bool(blind) and not live and all(turn.answer(member.column) for member in order)
        if ready and not self.vote.isVisibleTo(self):
            self.vote.offer({member.column: blind[member.column] for member in order})
        self.vote.setVisible(ready)

    def show_verdict(self, words: str) -> None:
        self.verdict.setText(words)
        self.verdict.setVisible(bool(words))

    def allow(self, why_not: str) -> None:
        self.question.allow(why_not)
        for view in self.answers.values():
            view.allow(why_not)

    def _make(self, columns: Sequence[str], names: Mapping[str, str]) -> None:
        if list(self.answers) == list(columns):
            return
        for column in [one for one in self.answers if one not in columns]:
            gone = self.answers.pop(column)
            self._row.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for column in columns:
            if column not in self.answers:
                self.answers[column] = self._new_answer(column, names[column])
        self.answers = {column: self.answers[column] for column in columns}
        for view in self.answers.values():
            self._row.removeWidget(view)
            self._row.addWidget(view, 1)

    def _new_answer(self, column: str, name: str) -> AnswerView:
        made = AnswerView(name)
        made.again_wanted.connect(lambda: self.again_wanted.emit(self._said(), column))
        made.version_wanted.connect(lambda at: self.answer_wanted.emit(self._said(), column, at))
        return made
