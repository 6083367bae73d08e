"""The tree as mergekit's YAML, to be read and changed: everything that the canvas does not show can be said here."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.forms.parts import words


class RecipePane(QWidget):
    """`wanted` carries a text that is to become the tree."""

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self.edit = QPlainTextEdit()
        self.edit.setTabChangesFocus(True)
        self.edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.edit.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # YAML is written so in every script
        self.edit.setAccessibleName(self.tr("The recipe in mergekit's YAML"))
        theme.set_role(self.edit, "mono")
        title = QLabel(self.tr("The recipe, in mergekit's YAML"))
        title.setBuddy(self.edit)
        self.help = words(
            "small",
            self.tr("Several documents are a tree. What is written here becomes the canvas once it is applied."),
        )
        self.problem = words("error")
        self.apply = button(self.tr("Apply to the canvas"), "tick")
        self.back = button(self.tr("Discard the changes"), "undo")
        self.copy = button(self.tr("Copy"), "copy")
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        for one in (self.apply, self.back):
            buttons.addWidget(one)
        buttons.addStretch(1)
        buttons.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(title)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.problem)
        layout.addWidget(self.help)
        layout.addLayout(buttons)
        self.edit.textChanged.connect(self._look)
        self.apply.clicked.connect(lambda: self.wanted.emit(self.edit.toPlainText()))
        self.back.clicked.connect(lambda: self.edit.setPlainText(self._text))
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.edit.toPlainText()))
        self.show_text("")

    @property
    def changed(self) -> bool:
        """Whether there is text that is not on the canvas."""
        return self.edit.toPlainText() != self._text

    def show_text(self, text: str) -> None:
        if text != self._text or not text:
            self._text = text
            self.edit.setPlainText(text)
        self.say("")
        self._look()

    def say(self, problem: str) -> None:
        """What is wrong with the text that was to be applied."""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def _look(self) -> None:
        why_not = "" if self.changed else self.tr("The text is what the canvas shows.")
        for one in (self.apply, self.back):
            one.setEnabled(not why_not)
            one.setToolTip(why_not)
        if not self.changed:
            self.say("")
