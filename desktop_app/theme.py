"""The look: every colour, space and type size of the window. No other module names a colour.

`apply()` gives the application a palette and a style sheet; widgets that paint themselves ask `colours()` when they
paint, and paint anew on `QEvent.PaletteChange`. The contrast of each text colour on each surface is computed in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QWidget

SPACE = 8  # px, the grid
SMALL, BODY, TITLE, HEAD, DISPLAY = 12, 13, 16, 20, 28  # px
FORM_WIDTH = 720  # px, the most a form takes
RADIUS = 6
ICON = 20

Scheme = Literal["system", "light", "dark"]
Role = Literal[
    "small", "muted", "title", "head", "display", "mono", "good", "warning", "error",  # of labels
    "primary", "quiet", "danger", "chip", "tool",  # of buttons
    "card", "bar", "rail", "said_card", "rule",  # of frames
    "said",  # of text that is read as part of the page
]  # fmt: skip


@dataclass(frozen=True)
class Colours:
    """Hex colours by role. `series` tells models apart and is made for colour-blind eyes (after Okabe and Ito)."""

    ground: str
    surface: str
    raised: str  # hovered rows and buttons
    selected: str
    line: str
    field_line: str  # around what can be typed into: 3:1 on the surface
    ink: str
    muted: str
    accent: str
    on_accent: str
    accent_hover: str
    good: str
    warning: str
    error: str
    teacher: str
    band: str  # the law's band
    series: tuple[str, ...]


LIGHT = Colours(
    ground="#F6F5F2",
    surface="#FFFFFF",
    raised="#EFEDE8",
    selected="#F5E6DC",
    line="#DEDBD5",
    field_line="#8F8B84",
    ink="#1F2328",
    muted="#59636E",
    accent="#A34A22",
    on_accent="#FFFFFF",
    accent_hover="#8A3D1A",
    good="#147038",
    warning="#8A5D00",
    error="#B3261E",
    teacher="#6B727A",
    band="#E9C9B4",
    series=("#A34A22", "#0072B2", "#00805C", "#B0457B", "#8A6A00", "#2F7F9E", "#5B4FA3", "#7A5230"),
)
DARK = Colours(
    ground="#15171A",
    surface="#1D2024",
    raised="#282C31",
    selected="#3A2B22",
    line="#33373D",
    field_line="#6E757D",
    ink="#E6E4DF",
    muted="#9AA3AD",
    accent="#E39360",
    on_accent="#1B1512",
    accent_hover="#EFA577",
    good="#6BCB8F",
    warning="#E3B341",
    error="#F28B82",
    teacher="#A7AFB8",
    band="#5A4031",
    series=("#E39360", "#56B4E9", "#3CC59A", "#E08BB9", "#E5C344", "#7FD1E8", "#A99BEA", "#C9A27C"),
)

_active = LIGHT


def colours() -> Colours:
    """The colours that are on screen now."""
    return _active


def apply(app: QApplication, scheme: Scheme) -> None:
    """Dress the application. `system` asks the desktop whether it is dark."""
    global _active
    hints = QGuiApplication.styleHints()
    wanted = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
    hints.setColorScheme(wanted.get(scheme, Qt.ColorScheme.Unknown))
    dark = scheme == "dark" or (scheme == "system" and hints.colorScheme() == Qt.ColorScheme.Dark)
    _active = DARK if dark else LIGHT
    font = app.font()
    font.setPixelSize(BODY)
    app.setFont(font)
    if app.styleSheet() != (sheet := style_sheet(_active)):  # each time dresses every widget there is
        app.setPalette(_palette(_active))  # before the sheet, which keeps for each widget the palette it finds
        app.setStyleSheet(sheet)


def follow_system(app: QApplication, scheme: Callable[[], Scheme]) -> None:
    """Dress the application anew whenever the desktop turns dark or light, if the settings follow it."""
    hints = QGuiApplication.styleHints()
    hints.colorSchemeChanged.connect(lambda _: apply(app, "system") if scheme() == "system" else None)


def set_role(widget: QWidget, role: Role | None) -> None:
    """Give a widget its part in the style sheet."""
    if isinstance(widget, QLabel):
        to_its_side(widget)
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    if widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def to_its_side(label: QLabel) -> None:
    """From right to left every label begins at the right, one in Latin letters too, unless it was given a place of its own."""
    if label.isRightToLeft() and label.alignment() == Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter:
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignAbsolute
        label.setAlignment(right | Qt.AlignmentFlag.AlignVCenter)


def tabular(font: QFont) -> QFont:
    """The same face with figures of one width, for numbers that change."""
    same = QFont(font)
    same.setFeature(QFont.Tag("tnum"), 1)
    return same


def colour(role: str) -> QColor:
    """A colour of the active theme by the name of its role."""
    return QColor(getattr(_active, role))


def series_colour(number: int) -> str:
    """The colour of the n-th model; it begins again after the last."""
    return _active.series[number % len(_active.series)]


def names() -> list[str]:
    return [field.name for field in fields(Colours) if field.name != "series"]


def _picture(name: str, of: Colours) -> str:
    """A small picture that a style sheet can't draw itself, in the colour for this theme."""
    file = f"{name}-{'dark' if of is DARK else 'light'}.svg"
    return (Path(__file__).resolve().parent.parent / "resources" / "icon" / file).as_posix()


def _palette(of: Colours) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: of.ground,
        QPalette.ColorRole.WindowText: of.ink,
        QPalette.ColorRole.Base: of.surface,
        QPalette.ColorRole.AlternateBase: of.ground,
        QPalette.ColorRole.Text: of.ink,
        QPalette.ColorRole.Button: of.surface,
        QPalette.ColorRole.ButtonText: of.ink,
        QPalette.ColorRole.ToolTipBase: of.surface,
        QPalette.ColorRole.ToolTipText: of.ink,
        QPalette.ColorRole.PlaceholderText: of.muted,
        QPalette.ColorRole.Highlight: of.accent,
        QPalette.ColorRole.HighlightedText: of.on_accent,
        QPalette.ColorRole.Accent: of.accent,
        QPalette.ColorRole.Link: of.accent,
        QPalette.ColorRole.LinkVisited: of.accent,
        QPalette.ColorRole.Light: of.raised,
        QPalette.ColorRole.Midlight: of.raised,
        QPalette.ColorRole.Mid: of.line,
        QPalette.ColorRole.Dark: of.line,
        QPalette.ColorRole.Shadow: of.line,
    }
    for role, name in roles.items():
        palette.setColor(role, QColor(name))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(of.muted))
    return palette


def style_sheet(of: Colours) -> str:
    """The style sheet of the whole application."""
    return "".join(part(of) for part in (_base, _buttons, _fields, _lists, _menus))


def _base(of: Colours) -> str:
    """Text by role, frames, and the ground under them."""
    return f"""
    QWidget {{ font-size: {BODY}px; }}
    QMainWindow, QDialog {{ background: {of.ground}; }}
    QToolTip {{ background: {of.surface}; color: {of.ink}; border: 1px solid {of.line}; padding: 6px; }}

    QLabel[role="small"] {{ font-size: {SMALL}px; color: {of.muted}; }}
    QLabel[role="muted"] {{ color: {of.muted}; }}
    QLabel[role="title"] {{ font-size: {TITLE}px; font-weight: 600; }}
    QLabel[role="head"] {{ font-size: {HEAD}px; font-weight: 600; }}
    QLabel[role="display"] {{ font-size: {DISPLAY}px; font-weight: 600; }}
    QLabel[role="good"] {{ color: {of.good}; }}
    QLabel[role="warning"] {{ color: {of.warning}; }}
    QLabel[role="error"] {{ color: {of.error}; }}
    *[role="mono"] {{ font-family: "JetBrains Mono", "DejaVu Sans Mono", "Menlo", "Consolas", monospace;
        font-size: {SMALL}px; }}

    QFrame[role="card"] {{ background: {of.surface}; border: 1px solid {of.line}; border-radius: {RADIUS}px; }}
    QFrame[role="card"][chosen="true"] {{ border-color: {of.accent}; background: {of.selected}; }}
    QFrame[role="said_card"] {{ background: {of.raised}; border: none; border-radius: {RADIUS}px; }}
    QFrame[role="rule"] {{ background: {of.line}; border: none; }}
    QFrame[role="bar"] {{ background: {of.surface}; border: none; border-top: 1px solid {of.line}; }}
    QFrame[role="rail"] {{ background: {of.surface}; border: none; border-right: 1px solid {of.line}; }}
    """


def _buttons(of: Colours) -> str:
    """Buttons by role."""
    return f"""
    QPushButton, QToolButton {{ background: {of.surface}; color: {of.ink}; border: 1px solid {of.field_line};
        border-radius: {RADIUS}px; padding: 5px 12px; min-height: 20px; }}
    QToolButton {{ padding: 5px 8px; }}
    QPushButton:hover, QToolButton:hover {{ background: {of.raised}; }}
    QPushButton:pressed, QToolButton:pressed {{ background: {of.line}; }}
    QPushButton:checked, QToolButton:checked {{ background: {of.selected}; border-color: {of.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {of.muted}; border-color: {of.line}; }}
    QPushButton:focus, QToolButton:focus {{ border: 2px solid {of.accent}; padding: 4px 11px; }}
    QToolButton:focus {{ padding: 4px 7px; }}
    QPushButton[role="primary"] {{ background: {of.accent}; color: {of.on_accent}; border: 1px solid {of.accent};
        font-weight: 600; padding: 6px 18px; }}
    QPushButton[role="primary"]:hover {{ background: {of.accent_hover}; }}
    QPushButton[role="primary"]:focus {{ border: 2px solid {of.ink}; padding: 5px 17px; }}
    QPushButton[role="primary"]:disabled {{ background: {of.raised}; color: {of.muted}; border-color: {of.line}; }}
    QPushButton[role="quiet"], QToolButton[role="quiet"] {{ background: transparent; border: 1px solid transparent; }}
    QPushButton[role="quiet"] {{ color: {of.accent}; }}
    QPushButton[role="quiet"]:disabled {{ color: {of.muted}; }}
    QPushButton[role="quiet"]:hover, QToolButton[role="quiet"]:hover {{ background: {of.raised}; }}
    QPushButton[role="quiet"]:focus, QToolButton[role="quiet"]:focus {{ border: 2px solid {of.accent}; }}
    QPushButton[role="danger"] {{ color: {of.error}; border-color: {of.error}; }}
    QToolButton[role="tool"] {{ background: transparent; border: 1px solid transparent; padding: 5px; min-height: 16px; }}
    QToolButton[role="tool"]:hover {{ background: {of.raised}; }}
    QToolButton[role="tool"]:focus {{ border: 2px solid {of.accent}; padding: 4px; }}
    QToolButton[role="rail"] {{ background: transparent; border: 2px solid transparent; border-radius: {RADIUS}px;
        color: {of.muted}; font-size: {SMALL}px; padding: 6px 2px; }}
    QToolButton[role="rail"]:hover {{ background: {of.raised}; color: {of.ink}; }}
    QToolButton[role="rail"]:checked {{ background: {of.selected}; color: {of.accent}; font-weight: 600; }}
    QToolButton[role="rail"]:focus {{ border-color: {of.accent}; }}
    """


def _fields(of: Colours) -> str:
    """What is typed into or chosen from."""
    reached = "add-page" if QGuiApplication.layoutDirection() == Qt.LayoutDirection.RightToLeft else "sub-page"
    return f"""
    QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox {{ background: {of.surface}; color: {of.ink};
        border: 1px solid {of.field_line}; border-radius: {RADIUS}px; padding: 5px 8px; min-height: 20px;
        selection-background-color: {of.accent}; selection-color: {of.on_accent}; }}
    QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{
        border: 2px solid {of.accent}; padding: 4px 7px; }}
    QTextEdit[role="said"] {{ background: transparent; border: 1px solid transparent; padding: 0; min-height: 0; }}
    QTextEdit[role="said"]:focus {{ border: 1px solid {of.accent}; padding: 0; }}
    QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {{ background: {of.ground}; color: {of.muted};
        border-color: {of.line}; }}
    QLineEdit[problem="true"], QComboBox[problem="true"], QAbstractSpinBox[problem="true"],
    QListWidget[problem="true"] {{ border-color: {of.error}; }}
    QComboBox::drop-down {{ border: none; width: 28px; }}
    QComboBox::down-arrow {{ image: url("{_picture("chevron", of)}"); width: 12px; height: 12px; }}
    QComboBox QAbstractItemView {{ background: {of.surface}; border: 1px solid {of.line}; outline: none;
        selection-background-color: {of.selected}; selection-color: {of.ink}; }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 0; border: none; }}

    QSlider::groove:horizontal {{ height: 4px; background: {of.line}; border-radius: 2px; }}
    QSlider::{reached}:horizontal {{ background: {of.accent}; border-radius: 2px; }}
    QSlider::handle:horizontal {{ background: {of.accent}; width: 12px; height: 12px; margin: -6px 0;
        border-radius: 8px; border: 2px solid {of.surface}; }}
    QSlider::handle:horizontal:focus {{ border-color: {of.ink}; }}
    QSlider::{reached}:horizontal:disabled, QSlider::handle:horizontal:disabled {{ background: {of.field_line}; }}
    QProgressBar {{ background: {of.line}; border: none; border-radius: 3px; height: 6px; text-align: center; }}
    QProgressBar::chunk {{ background: {of.accent}; border-radius: 3px; }}
    QCheckBox, QRadioButton {{ spacing: 8px; padding: 2px; }}
    QCheckBox:focus, QRadioButton:focus {{ background: {of.raised}; border-radius: {RADIUS}px; }}

    QCheckBox::indicator, QRadioButton::indicator, QTableView::indicator, QTreeView::indicator, QListView::indicator {{
        width: 14px; height: 14px; border: 1px solid {of.field_line}; background: {of.surface}; border-radius: 3px; }}
    QRadioButton::indicator {{ border-radius: 8px; }}
    QCheckBox::indicator:hover, QTableView::indicator:hover {{ border-color: {of.accent}; }}
    QCheckBox::indicator:checked, QTableView::indicator:checked, QTreeView::indicator:checked,
    QListView::indicator:checked {{ background: {of.accent}; border-color: {of.accent}; image: url("{_picture("tick", of)}"); }}
    QRadioButton::indicator:checked {{ background: {of.surface}; border: 5px solid {of.accent};
        width: 6px; height: 6px; }}
    QRadioButton::indicator:disabled, QCheckBox::indicator:disabled {{ background: {of.ground}; border-color: {of.line}; }}
    QComboBox[described="true"] {{ combobox-popup: 0; }}
    """


def _lists(of: Colours) -> str:
    """Tables, trees, lists, and what scrolls them."""
    return f"""
    QTableView, QTreeView, QListView {{ background: {of.surface}; alternate-background-color: {of.surface};
        border: 1px solid {of.line}; border-radius: {RADIUS}px; outline: none; gridline-color: {of.line};
        selection-background-color: {of.selected}; selection-color: {of.ink}; }}
    QTableView::item, QTreeView::item, QListView::item {{ padding: 4px 8px; border: none; }}
    QTableView::item:hover, QTreeView::item:hover, QListView::item:hover {{ background: {of.raised}; }}
    QTableView::item:selected, QTreeView::item:selected, QListView::item:selected {{ background: {of.selected};
        color: {of.ink}; }}
    QTableView:focus, QTreeView:focus, QListView:focus {{ border: 1px solid {of.accent}; }}
    QHeaderView {{ background: {of.surface}; }}
    QHeaderView::section {{ background: {of.surface}; color: {of.muted}; border: none;
        border-bottom: 1px solid {of.line}; padding: 6px 11px; font-size: {SMALL}px; }}
    QAbstractScrollArea::corner {{ background: transparent; border: none; }}
    QLineEdit QToolButton {{ background: transparent; border: none; padding: 0; min-height: 0; }}
    QTabBar QToolButton {{ background: {of.ground}; border: none; padding: 0; min-height: 0; }}
    QTableCornerButton::section {{ background: {of.surface}; border: none; }}

    QScrollArea {{ border: none; background: transparent; }}
    QScrollArea > QWidget > QWidget {{ background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 12px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 12px; margin: 0; }}
    QScrollBar::handle {{ background: {of.line}; border-radius: 4px; margin: 2px; min-height: 32px; min-width: 32px; }}
    QScrollBar::handle:hover {{ background: {of.field_line}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: none; }}
    QSplitter::handle {{ background: transparent; }}
    QSplitter::handle:hover {{ background: {of.line}; }}
    """


def _menus(of: Colours) -> str:
    """Tabs and menus."""
    return f"""
    QTabWidget::pane {{ border: none; border-top: 1px solid {of.line}; }}
    QTabBar::tab {{ background: transparent; color: {of.muted}; padding: 8px 14px; border: none;
        border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {of.ink}; border-bottom-color: {of.accent}; }}
    QTabBar::tab:hover {{ color: {of.ink}; }}
    QTabBar::tab:focus {{ background: {of.raised}; }}

    QMenu {{ background: {of.surface}; border: 1px solid {of.line}; padding: 4px; }}
    QMenu::item {{ padding: 6px 24px 6px 12px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {of.selected}; color: {of.ink}; }}
    QMenu::item:disabled {{ color: {of.muted}; }}
    QMenu::separator {{ height: 1px; background: {of.line}; margin: 4px 8px; }}
    """
