"""What a careful eye would find on a page: text that is cut off, controls without a name."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTextEdit,
    QWidget,
)

from desktop_app.forms.field import Elided

CONTROLS = (
    QAbstractButton,
    QLineEdit,
    QComboBox,
    QAbstractSpinBox,
    QAbstractSlider,
    QAbstractItemView,
    QTextEdit,
    QPlainTextEdit,
)


def cut_off(root: QWidget) -> list[str]:
    """Labels and buttons on screen that are smaller than their text."""
    found = []
    for widget in root.findChildren(QWidget):
        if (
            not widget.isVisibleTo(root)
            or isinstance(widget, Elided)
            or not isinstance(widget, (QLabel, QAbstractButton))
        ):
            continue
        if not widget.text() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            short = widget.heightForWidth(widget.width()) - widget.height()
            longest = max((widget.fontMetrics().horizontalAdvance(word) for word in widget.text().split()), default=0)
            plain = widget.textFormat() != Qt.TextFormat.RichText and "<" not in widget.text()
            if short > 1 or (plain and longest > widget.contentsRect().width() + 1):
                found.append(f"{_name(widget)}: {short} px too low, or a word of {longest} px in {widget.width()}")
        else:
            need, have = widget.minimumSizeHint(), widget.size()
            if need.width() > have.width() + 1 or need.height() > have.height() + 1:
                found.append(f"{_name(widget)}: {have.width()}x{have.height()}, needs {need.width()}x{need.height()}")
    return found


def nameless(root: QWidget) -> list[str]:
    """Controls that a screen reader can't name, or that have no role."""
    found = []
    for widget in root.findChildren(QWidget):
        if not isinstance(widget, CONTROLS) or not widget.isVisibleTo(root) or _is_inner(widget):
            continue
        face = QAccessible.queryAccessibleInterface(widget)
        if face is None or not face.text(QAccessible.Text.Name).strip():
            found.append(f"no name: {_name(widget)}")
        elif face.role() in (QAccessible.Role.NoRole, QAccessible.Role.Client):
            found.append(f"no role: {_name(widget)}")
    return found


def unreachable(root: QWidget) -> list[str]:
    """Enabled controls that the Tab key never comes to and no arrow key either."""
    found = []
    for widget in root.findChildren(QWidget):
        if (
            not isinstance(widget, CONTROLS)
            or not widget.isVisibleTo(root)
            or _is_inner(widget)
            or not widget.isEnabled()
        ):
            continue
        if not widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not _arrows_lead_to(widget):
            found.append(_name(widget))
    return found


def _arrows_lead_to(widget: QWidget) -> bool:
    """One of an exclusive group: Tab comes to the group, the arrow keys to each of its buttons."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    return group is not None and any(one.focusPolicy() & Qt.FocusPolicy.TabFocus for one in group.buttons())


def _is_inner(widget: QWidget) -> bool:
    """Parts of a control that are no control of their own."""
    parent = widget.parentWidget()
    if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
        return True
    header = "Header" in type(widget).__name__ or "CornerButton" in type(widget).__name__
    return (
        header
        or isinstance(parent, (QComboBox, QAbstractSpinBox, QLineEdit))
        or (isinstance(parent, QAbstractScrollArea) and not isinstance(widget, CONTROLS))
    )


def _name(widget: QWidget) -> str:
    chain = []
    one: QWidget | None = widget
    while one is not None and len(chain) < 4:
        chain.append(type(one).__name__)
        one = one.parentWidget()
    text = widget.text() if isinstance(widget, (QLabel, QAbstractButton, QLineEdit)) else ""
    return f"{' < '.join(chain)} {text[:60]!r}"
