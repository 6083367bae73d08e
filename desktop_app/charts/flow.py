"""A row of widgets that goes on in a next row where there is no more room."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QStyle, QWidget

from desktop_app import theme


class FlowLayout(QLayout):
    """Lays its widgets out like words; from right to left where the script runs so."""

    def __init__(self, parent: QWidget | None = None, space: int = theme.SPACE) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._space = space
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:  # noqa: N802
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:  # noqa: N802
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        return self._arrange(QRect(0, 0, width, 0), only_measure=True)

    def sizeHint(self) -> QSize:  # noqa: N802
        return self.minimumSize()

    def minimumSize(self) -> QSize:  # noqa: N802
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def setGeometry(self, rect: QRect) -> None:  # noqa: N802
        super().setGeometry(rect)
        self._arrange(rect, only_measure=False)

    def _arrange(self, rect: QRect, *, only_measure: bool) -> int:
        """Place the items row by row; returns the height that they take."""
        x, y, row_height = rect.x(), rect.y(), 0
        row: list[tuple[QLayoutItem, QRect]] = []
        for item in self._items:
            if item.isEmpty():
                continue
            size = item.sizeHint()
            if row and x + size.width() > rect.right() + 1:
                self._place(row, row_height, rect, only_measure=only_measure)
                x, y, row_height, row = rect.x(), y + row_height + self._space, 0, []
            row.append((item, QRect(QPoint(x, y), size)))
            x += size.width() + self._space
            row_height = max(row_height, size.height())
        self._place(row, row_height, rect, only_measure=only_measure)
        return y + row_height - rect.y()

    def _place(self, row: list[tuple[QLayoutItem, QRect]], height: int, rect: QRect, *, only_measure: bool) -> None:
        if only_measure:
            return
        parent = self.parentWidget()
        direction = parent.layoutDirection() if parent else Qt.LayoutDirection.LeftToRight
        for item, place in row:
            place.moveTop(place.top() + (height - place.height()) // 2)
            item.setGeometry(QStyle.visualRect(direction, rect, place))
