"""Two columns that become one where there is no room: the form scrolls at the leading side, the rest stays beside it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from desktop_app import theme

NARROW = 1100  # px: below it the two columns become one
UNLIMITED = 16_777_215  # px, Qt's own
LEADING_WIDTH = theme.FORM_WIDTH + 3 * theme.SPACE


class Columns(QWidget):
    """`leading` and `beside` are empty widgets to be filled: each scrolls for itself, or one follows under the other."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # from the outside in: Qt dresses a whole branch anew each time that it is hung somewhere else
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.leading_area, leading = _scrolling(self)
        self.beside_area, aside = _scrolling(self)
        layout.addWidget(self.leading_area, 1)
        layout.addWidget(self.beside_area, 1)
        self._leading, self._aside = _column(leading), _column(aside)
        self.leading, self.beside = QWidget(leading), QWidget(aside)
        self._leading.addWidget(self.leading)
        self._leading.addStretch(1)
        self._aside.addWidget(self.beside)
        self._narrow = False
        self.leading_area.setMaximumWidth(LEADING_WIDTH)
        self.leading_area.viewport().installEventFilter(self)

    def show_widget(self, widget: QWidget) -> None:
        """Scroll until a part of the leading column is in sight."""
        self.leading_area.ensureWidgetVisible(widget, 0, 3 * theme.SPACE)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        if narrow != self._narrow:
            self._narrow = narrow
            self._move(narrow)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Resize:
            self._leave_room()
        return False

    def _leave_room(self) -> None:
        """Where one column has more room than a form takes, the rest is margin: a layout reckons the height of wrapped words
        at the width that it gives, whatever the most is that a widget in it takes."""
        rest = max(theme.SPACE, self.leading_area.viewport().width() - theme.FORM_WIDTH)
        rtl = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        self._leading.setContentsMargins(rest if rtl else 0, 0, 0 if rtl else rest, 2 * theme.SPACE)

    def _move(self, narrow: bool) -> None:
        """Hang what stands beside under the form, or beside it again."""
        if narrow:
            self._aside.removeWidget(self.beside)
            self._leading.insertWidget(self._leading.count() - 1, self.beside)
        else:
            self._leading.removeWidget(self.beside)
            self._aside.addWidget(self.beside)
        self.beside.show()  # what moves to another parent is hidden first
        self.beside_area.setVisible(not narrow)
        self.leading_area.setMaximumWidth(UNLIMITED if narrow else LEADING_WIDTH)


def _column(widget: QWidget) -> QBoxLayout:
    layout = QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, theme.SPACE, 2 * theme.SPACE)
    layout.setSpacing(2 * theme.SPACE)
    return layout


def _scrolling(parent: QWidget) -> tuple[QScrollArea, QWidget]:
    """An area that scrolls up and down, and the empty widget in it."""
    area, content = QScrollArea(parent), QWidget()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setWidget(content)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area, content
