"""A field of a form: label above, the widget, help or the reason of a default under it, and its problem."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.forms.parts import words
from desktop_app.icons import icon

ICON_ROOM = QSize(22, 16)  # the glyph of a button stands in its middle: room between it and the text


class Field(QWidget):
    """`widget` with its label (its accessible name, too), help and problem."""

    def __init__(self, label: str, widget: QWidget, help_text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.widget = widget
        self.label = QLabel(label)
        self.label.setBuddy(widget)
        self._label_row = QHBoxLayout()
        self._label_row.setContentsMargins(0, 0, 0, 0)
        self._label_row.addWidget(self.label)
        self._label_row.addStretch(1)
        self.help = words("small")
        self.problem = words("error")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._label_row)
        layout.addWidget(widget)
        layout.addWidget(self.problem)
        layout.addWidget(self.help)
        widget.setAccessibleName(label)
        self.set_help(help_text)
        self.set_problem("")

    def beside_label(self, widget: QWidget) -> None:
        """Put something small at the right end of the label's line."""
        self._label_row.addWidget(widget)

    def set_help(self, text: str) -> None:
        self.help.setText(text)
        self.help.setVisible(bool(text))
        self._describe()

    def set_problem(self, text: str) -> None:
        """Say what is wrong with the field; an empty text takes it back."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        wrong = bool(text)
        if self.widget.property("problem") is not wrong:
            self.widget.setProperty("problem", wrong)
            self.widget.style().unpolish(self.widget)
            self.widget.style().polish(self.widget)
        self._describe()

    def _describe(self) -> None:
        self.widget.setAccessibleDescription(self.problem.text() or self.help.text())


class MoreSettings(QWidget):
    """A line that opens the rest of the dials."""

    toggled = Signal(bool)

    def __init__(self, content: QWidget, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QToolButton()
        self.button.setText(text or self.tr("More settings"))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setCheckable(True)
        theme.set_role(self.button, "quiet")
        self.content = content
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.button, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(content)
        self.button.toggled.connect(self._toggle)
        self._toggle(opened=False)

    def _toggle(self, opened: bool) -> None:
        self.button.setIcon(icon("down" if opened else "right", "muted"))
        self.content.setVisible(opened)
        self.toggled.emit(opened)

    def open(self) -> None:
        self.button.setChecked(True)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """The style sheet dresses the button when it is first shown, and it may need more room than it said before."""
        super().showEvent(event)
        self.button.ensurePolished()
        self.button.setMinimumHeight(self.button.sizeHint().height())
        self.button.updateGeometry()


class Elided(QLabel):
    """One line of text that is shortened in the middle where it does not fit; the whole of it is the tool tip."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(40)
        self.setTextFormat(Qt.TextFormat.PlainText)
        theme.to_its_side(self)
        self._whole = ""
        self.set_text(text)

    def set_text(self, text: str) -> None:
        self._whole = text
        self.setToolTip(text)
        self.setAccessibleName(text)
        self._elide()

    def whole(self) -> str:
        return self._whole

    def resizeEvent(self, event: object) -> None:  # noqa: N802
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._elide()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._elide()

    def _elide(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, max(0, self.width() - 2)))


def card(*contents: QWidget, title: str = "") -> QWidget:
    """A framed group, with a heading if it has a title."""
    from PySide6.QtWidgets import QFrame

    frame = QFrame()
    theme.set_role(frame, "card")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
    layout.setSpacing(2 * theme.SPACE)
    if title:
        heading = QLabel(title)
        theme.set_role(heading, "title")
        layout.addWidget(heading)
    for content in contents:
        layout.addWidget(content)
    return frame


def button(text: str, icon_name: str = "", role: theme.Role | None = None) -> QPushButton:
    """A push button; its text is its accessible name."""
    made = QPushButton(text)
    made.setIconSize(ICON_ROOM)
    if icon_name:
        made.setIcon(
            icon(icon_name, {"primary": "on_accent", "danger": "error", "quiet": "accent"}.get(role or "", "ink"))
        )
    if role:
        theme.set_role(made, role)
    return made
