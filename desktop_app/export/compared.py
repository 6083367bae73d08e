"""The answers of an export beside the original's, prompt by prompt, with the place where they part underlined."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.state import History
from desktop_app import theme
from desktop_app.export.results import Asked, exported_of
from desktop_app.forms import parts
from desktop_app.icons import icon
from desktop_app.runs.empty import Empty
from desktop_app.sign import Sign


class ComparedView(QStackedWidget):
    """In place of curves: both answers to each prompt, or that they are still to come."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: tuple[Asked, ...] | None = None
        self.nothing = Empty()
        self.content = QWidget()
        self._layout = QVBoxLayout(self.content)
        self._layout.setContentsMargins(0, theme.SPACE, theme.SPACE, theme.SPACE)
        self._layout.setSpacing(theme.SPACE)
        self.cards: list[_Card] = []
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName(self.tr("Answers of the export beside the original's"))
        area.setWidget(self.content)
        self._layout.addStretch(1)
        self.addWidget(self.nothing)
        self.addWidget(area)
        self.area = area

    def show_export(self, history: History | None) -> None:
        exported = exported_of(history.results) if history is not None else None
        answers = exported.answers if exported is not None else ()
        if not answers:
            self._say_none(history)
        elif answers != self._answers:
            self._show(answers)
        self._answers = answers
        self.setCurrentWidget(self.area if answers else self.nothing)

    def _say_none(self, history: History | None) -> None:
        if history is not None and history.failure is not None:
            told = self.tr("It failed before original and export had been asked the same; beside this is why.")
            self.nothing.say("export", self.tr("No answers to compare."), told, [])
            return
        coming = self.tr("The original is asked first; then the export is written, loaded and asked the same.")
        self.nothing.say("export", self.tr("No answers yet."), coming, [])

    def _show(self, answers: Sequence[Asked]) -> None:
        while len(self.cards) < len(answers):
            self.cards.append(_Card())
            self._layout.insertWidget(len(self.cards) - 1, self.cards[-1])
        for number, card in enumerate(self.cards):
            card.setVisible(number < len(answers))
        for one, card in zip(answers, self.cards, strict=False):
            card.show_asked(one)
        self.area.verticalScrollBar().setValue(0)


class _Card(QFrame):
    """One prompt. Equal answers are shown once."""

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._asked: Asked | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.prompt, self.sign, self.state = parts.words(), Sign(size=16), QLabel()
        theme.set_role(self.state, "small")
        self.names = (QLabel(self.tr("Original")), QLabel(self.tr("Export")))
        self.original, self.exported = parts.words(), parts.words()
        grid = QGridLayout(self)
        grid.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        grid.setHorizontalSpacing(theme.SPACE)
        grid.setVerticalSpacing(theme.SPACE - 2)
        grid.setColumnStretch(1, 1)
        theme.set_role(self.prompt, "muted")
        grid.addWidget(self.prompt, 0, 0, 1, 2)
        grid.addWidget(self.sign, 0, 2, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.state, 0, 3, Qt.AlignmentFlag.AlignTop)
        for row, (name, answer) in enumerate(zip(self.names, (self.original, self.exported), strict=True), 1):
            theme.set_role(name, "small")
            grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(answer, row, 1, 1, 3)

    def show_asked(self, asked: Asked) -> None:
        self._asked = asked
        self.prompt.setText(asked.prompt)
        level = "good" if asked.equal else "info"
        self.sign.set_icon(icon(level, "good" if asked.equal else "muted"))
        near = self.tr("parts at a near tie") if asked.near_tie else self.tr("parts")
        self.state.setText(self.tr("equal") if asked.equal else near)
        self.names[0].setText(self.tr("Both") if asked.equal else self.tr("Original"))
        for part in (self.names[1], self.exported):
            part.setVisible(not asked.equal)
        self._write()

    def _write(self) -> None:
        if self._asked is None:
            return
        alike = len(self._asked.alike)
        for label, name, text in zip(
            (self.original, self.exported), self.names, (self._asked.original, self._asked.exported), strict=True
        ):
            label.setTextFormat(Qt.TextFormat.RichText)
            rest = "" if self._asked.equal else _plain(text[alike:])
            shown = _plain(text if self._asked.equal else text[:alike])
            parted = f'<span style="color:{theme.colours().accent}; text-decoration: underline">{rest}</span>'
            label.setText(f"{shown}{parted if rest else ''}" or _plain(self.tr("(nothing)")))
            label.setAccessibleName(f"{name.text()}: {text}")

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "exported"):
            self._write()


def _plain(text: str) -> str:
    """The text itself as rich text, whatever it holds."""
    from html import escape

    return escape(text.strip("\n")).replace("\n", "<br>")
