"""Icons: glyphs of the Material Design Icons font (package fonticon-materialdesignicons7), in the theme's colours.

The font is read straight from its package, because the usual loaders cost more than the rest of the window's start. An
icon draws itself when it is painted, so it follows the theme.
"""

from __future__ import annotations

import functools
from typing import Final

from fonticon_mdi7 import MDI7
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap, QPixmapCache

from desktop_app import theme

GLYPHS: Final = {
    "plan": MDI7.ruler_square_compass,
    "data": MDI7.text_box_outline,
    "models": MDI7.cube_outline,
    "runs": MDI7.chart_line,
    "compare": MDI7.scale_balance,
    "merge": MDI7.source_merge,
    "chat": MDI7.chat_outline,
    "settings": MDI7.cog_outline,
    "distill": MDI7.flask_outline,
    "chain": MDI7.stairs_down,
    "tune": MDI7.tune_variant,
    "start": MDI7.play_outline,
    "stop": MDI7.stop_circle_outline,
    "resume": MDI7.play_circle_outline,
    "again": MDI7.restart,
    "edit": MDI7.pencil_outline,
    "discard": MDI7.trash_can_outline,
    "launch": MDI7.server_network,
    "cache": MDI7.database_outline,
    "hub": MDI7.cloud_download_outline,
    "prepare": MDI7.filter_outline,
    "pilot": MDI7.flag_checkered,
    "folder": MDI7.folder_outline,
    "folder_open": MDI7.folder_open_outline,
    "add": MDI7.plus,
    "minus": MDI7.minus,
    "remove": MDI7.close,
    "close": MDI7.close,
    "search": MDI7.magnify,
    "export": MDI7.export_variant,
    "copy": MDI7.content_copy,
    "more": MDI7.dots_horizontal,
    "more_plots": MDI7.chart_multiple,
    "send": MDI7.send_outline,
    "back": MDI7.chevron_left,
    "blind": MDI7.eye_off_outline,
    "down": MDI7.chevron_down,
    "right": MDI7.chevron_right,
    "up": MDI7.chevron_up,
    "undo": MDI7.undo,
    "redo": MDI7.redo,
    "tag": MDI7.tag_outline,
    "rename": MDI7.form_textbox,
    "refresh": MDI7.refresh,
    "save": MDI7.content_save_outline,
    "open": MDI7.folder_open_outline,
    "log": MDI7.text_long,
    "lineage": MDI7.family_tree,
    "help": MDI7.help_circle_outline,
    "info": MDI7.information_outline,
    "warning": MDI7.alert_outline,
    "error": MDI7.alert_circle_outline,
    "good": MDI7.check_circle_outline,
    "device": MDI7.expansion_card_variant,
    "memory": MDI7.memory,
    "time": MDI7.clock_outline,
    "disk": MDI7.harddisk,
    "measure": MDI7.speedometer,
    "zoom_reset": MDI7.fit_to_page_outline,
    "keyboard": MDI7.keyboard_outline,
    "private": MDI7.lock_outline,
    "drag": MDI7.drag_vertical,
    "tick": MDI7.check_bold,
    "queued": MDI7.clock_outline,
    "running": MDI7.play_circle,
    "stopping": MDI7.progress_clock,
    "stopped": MDI7.pause_circle_outline,
    "finished": MDI7.check_circle,
    "failed": MDI7.alert_circle,
    "crashed": MDI7.lightning_bolt_circle,
}
STATE_COLOURS: Final = {
    "queued": "muted",
    "running": "accent",
    "stopping": "warning",
    "stopped": "muted",
    "finished": "good",
    "failed": "error",
    "crashed": "error",
}


class _Glyph(QIconEngine):
    """Draws one glyph of the font as large as it is asked for."""

    def __init__(self, text: str, colour: str) -> None:
        super().__init__()
        self._text, self._colour = text, colour

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        colour = "muted" if mode is QIcon.Mode.Disabled else self._colour
        font = QFont(_family())
        font.setPixelSize(max(1, min(rect.width(), rect.height())))
        painter.save()
        painter.setFont(font)
        painter.setPen(theme.colour(colour))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        colour = "muted" if mode is QIcon.Mode.Disabled else self._colour
        key = f"glyph {self._text} {theme.colour(colour).name()} {size.width()} {size.height()}"
        pixmap = QPixmap(size)
        if not QPixmapCache.find(key, pixmap):
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
            painter.end()
            QPixmapCache.insert(key, pixmap)
        return pixmap

    def clone(self) -> QIconEngine:
        return _Glyph(self._text, self._colour)


def icon(name: str, colour: str = "ink") -> QIcon:
    """The icon of this name in a colour of the theme, named by its role."""
    return QIcon(_Glyph(GLYPHS[name].removeprefix("mdi7."), colour))


def state_icon(state: str) -> QIcon:
    """The icon of a run's state, in the state's colour; a word always stands beside it."""
    return icon(state, STATE_COLOURS[state])


@functools.cache
def _family() -> str:
    number = QFontDatabase.addApplicationFont(str(MDI7.__font_file__))
    return QFontDatabase.applicationFontFamilies(number)[0]
