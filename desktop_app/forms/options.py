"""One of a few, or several of them, where a word is not enough: each with a sentence, what it changes, and why not where it can't be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QMouseEvent, QPainter, QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QListView,
    QRadioButton,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app import theme
from desktop_app.forms.inputs import Choice
from desktop_app.forms.parts import words

INDENT = 26  # px: the sentence stands under the title, beside the button
WORDS, WHY_NOT = Qt.ItemDataRole.UserRole + 1, Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Option:
    """`words` say what it is good for and what it costs, `note` what it changes; with `why_not` it can't be chosen."""

    value: str
    title: str
    words: str = ""
    note: str = ""
    why_not: str = ""


class _Row(QWidget):
    """A button with its title, and beneath it the sentence, the note and the reason why not. A click anywhere is one on the button."""

    def __init__(self, button: QAbstractButton) -> None:
        super().__init__()
        self.button = button
        self.words, self.note, self.why_not = words("small"), words(), words("warning")
        self._title = ""
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(0)
        grid.setVerticalSpacing(2)
        grid.setColumnMinimumWidth(0, INDENT)
        grid.setColumnStretch(1, 1)
        grid.addWidget(button, 0, 0, 1, 2)
        for at, label in enumerate((self.words, self.note, self.why_not), 1):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
            grid.addWidget(label, at, 1)

    def show_option(self, option: Option, *, enabled: bool) -> None:
        self._title = option.title
        for label, text in ((self.words, option.words), (self.note, option.note), (self.why_not, option.why_not)):
            label.setText(text)
            label.setVisible(bool(text))
        self.button.setEnabled(enabled)
        self.button.setAccessibleName(option.title)
        self.button.setAccessibleDescription(
            " ".join(text for text in (option.words, option.note, option.why_not) if text)
        )
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = max(0, self.width() - INDENT - theme.SPACE)
        shown = self.button.fontMetrics().elidedText(self._title, Qt.TextElideMode.ElideMiddle, room)
        self.button.setText(shown.replace("&", "&&"))
        self.button.setToolTip(self._title if shown != self._title else "")

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() is Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.button.click()


class _Rows(QWidget):
    """The rows of `Options` and `Ticks`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options: dict[str, Option] = {}
        self._rows: dict[str, _Row] = {}
        self._group = QButtonGroup(self)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.SPACE)

    def _new_button(self) -> QAbstractButton:
        raise NotImplementedError

    def _usable(self, option: Option) -> bool:
        return not option.why_not or self._rows[option.value].button.isChecked()

    def set_options(self, options: Sequence[Option]) -> None:
        """Offer these; what was chosen stays so. Rows are made anew only where others are offered."""
        if list(self._rows) != [option.value for option in options]:
            self._make([option.value for option in options])
        self._options = {option.value: option for option in options}
        self._show()

    def _make(self, values: Sequence[str]) -> None:
        checked = {value for value, row in self._rows.items() if row.button.isChecked()}
        for row in self._rows.values():
            self._group.removeButton(row.button)
            row.hide()
            row.deleteLater()
        self._rows = {value: _Row(self._new_button()) for value in values}
        for value, row in self._rows.items():
            self._group.addButton(row.button)
            row.button.setChecked(value in checked)
            self._layout.addWidget(row)

    def _show(self) -> None:
        for value, option in self._options.items():
            self._rows[value].show_option(option, enabled=self._usable(option))

    def option(self, value: str) -> QAbstractButton:
        """The button of one of them."""
        return self._rows[value].button

    def shown(self, value: str) -> Option:
        return self._options[value]


class Options(_Rows):
    """One of a few; `chosen` is for the user's own choice."""

    chosen = Signal(str)

    def __init__(self, options: Sequence[Option] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group.buttonClicked.connect(self._clicked)
        self.set_options(options)

    def _new_button(self) -> QAbstractButton:
        return QRadioButton()

    def _clicked(self) -> None:
        self._show()
        self.chosen.emit(self.value())

    def value(self) -> str:
        return next((value for value, row in self._rows.items() if row.button.isChecked()), "")

    def choose(self, value: str) -> None:
        if value in self._rows:
            self._rows[value].button.setChecked(True)
            self.setFocusProxy(self._rows[value].button)
            self._show()


class Ticks(_Rows):
    """Several of a few, at most `most`; `ticked` is for the user's own choice."""

    ticked = Signal()

    def __init__(self, most: int, too_many: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most, self._too_many = most, too_many
        self._group.setExclusive(False)
        self._group.buttonClicked.connect(self._clicked)

    def _new_button(self) -> QAbstractButton:
        return QCheckBox()

    def _usable(self, option: Option) -> bool:
        return super()._usable(option) and (len(self.values()) < self._most or option.value in self.values())

    def _show(self) -> None:
        super()._show()
        full = len(self.values()) >= self._most
        for value, row in self._rows.items():
            if full and not row.button.isEnabled() and not self._options[value].why_not:
                row.button.setToolTip(self._too_many)

    def _clicked(self) -> None:
        self._show()
        self.ticked.emit()

    def values(self) -> list[str]:
        return [value for value, row in self._rows.items() if row.button.isChecked()]

    def tick(self, values: Sequence[str]) -> None:
        for value, row in self._rows.items():
            row.button.setChecked(value in values)
        if self._rows:
            self.setFocusProxy(next(iter(self._rows.values())).button)
        self._show()


class DescribedChoice(Choice):
    """One of many; each has its sentence in the list, and the reason where it can't be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        view = QListView()
        view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        view.setResizeMode(QListView.ResizeMode.Adjust)
        self.setView(view)
        self.setItemDelegate(_Described(self))
        self.setProperty("described", True)
        self.setMaxVisibleItems(7)
        self._described: tuple[Option, ...] = ()

    def describe(self, options: Sequence[Option]) -> None:
        """Offer these; the choice stays if it is still among them."""
        if tuple(options) == self._described:
            return
        self._described = tuple(options)
        self.set_options([(option.value, option.title) for option in options])
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        for at, option in enumerate(options):
            _fill(model.item(at), option)


def _fill(item: QStandardItem, option: Option) -> None:
    item.setData(option.words, WORDS)
    item.setData(option.why_not, WHY_NOT)
    item.setData(" ".join((option.words, option.why_not)).strip(), Qt.ItemDataRole.AccessibleDescriptionRole)
    item.setEnabled(not option.why_not)
    item.setToolTip(option.why_not)


class _Described(QStyledItemDelegate):
    """Paints the title, and beneath it the sentence and the reason why not, wrapped."""

    MARGIN = theme.SPACE

    def __init__(self, choice: DescribedChoice) -> None:
        super().__init__(choice)
        self._choice = choice

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802
        width = max(self._choice.width(), 160) - 2 * theme.SPACE
        return QSize(width, sum(height for _, _, height in self._lines(index, width)) + 2 * self.MARGIN)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        state = option.state
        rect: QRect = option.rect
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, theme.colour("selected"))
        top = rect.top() + self.MARGIN
        for text, (font, role), height in self._lines(index, rect.width()):
            painter.setFont(font)
            painter.setPen(theme.colour(role))
            room = QRect(rect.left() + self.MARGIN, top, rect.width() - 2 * self.MARGIN, height)
            painter.drawText(room, self._alignment(), text)
            top += height
        painter.restore()

    def _alignment(self) -> int:
        leading = QStyle.visualAlignment(self._choice.layoutDirection(), Qt.AlignmentFlag.AlignLeft)
        return int(leading | Qt.AlignmentFlag.AlignTop) | int(Qt.TextFlag.TextWordWrap)

    def _lines(
        self, index: QModelIndex | QPersistentModelIndex, width: int
    ) -> list[tuple[str, tuple[QFont, str], int]]:
        """What stands in a row: text, its font and colour, and its height."""
        plain, small = QFont(self._choice.font()), QFont(self._choice.font())
        small.setPixelSize(theme.SMALL)
        why_not = index.data(WHY_NOT) or ""
        parts = (
            (str(index.data(Qt.ItemDataRole.DisplayRole) or ""), plain, "muted" if why_not else "ink"),
            (str(index.data(WORDS) or ""), small, "muted"),
            (why_not, small, "warning"),
        )
        room = QRect(0, 0, max(1, width - 2 * self.MARGIN), 10_000)
        return [
            (text, (font, role), QFontMetrics(font).boundingRect(room, self._alignment(), text).height())
            for text, font, role in parts
            if text
        ]
