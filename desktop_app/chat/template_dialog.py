"""A model's chat template as it is, or that it has none, and what is done instead."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.chat.heads import Member
from desktop_app.forms import parts
from desktop_app.forms.field import button


class TemplateDialog(QDialog):
    def __init__(self, member: Member, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Chat template of %s") % member.name)
        title = QLabel(self.tr("How %s is asked") % member.name)
        title.setWordWrap(True)
        theme.set_role(title, "title")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(self.tr("Chat template"))
        self.text.setPlainText(member.template or "")
        theme.set_role(self.text, "mono")
        copy, close = button(self.tr("Copy"), "copy"), button(self.tr("Close"))
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(member.template or ""))
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addWidget(copy)
        buttons.addStretch(1)
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(12)
        layout.addWidget(title)
        if member.template is None:
            words = self.tr("It has no chat template: it goes on with your text, as a base model does.")
            layout.addWidget(parts.words(None, words))
        if member.framing:
            layout.addWidget(parts.words("muted", f"{member.framing[:1].upper()}{member.framing[1:]}."))
        layout.addWidget(self.text, 1)
        if member.template is None:
            layout.addStretch(1)
        layout.addLayout(buttons)
        self.text.setVisible(member.template is not None)
        copy.setVisible(member.template is not None)
        self.resize(640, 480 if member.template else 168)
