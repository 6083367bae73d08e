"""What came of a run that keeps a teacher's answers: how much they take, how much of the teacher they hold, and where they are."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout

from core.cache import CacheInfo
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.runs import words
from desktop_app.runs.dossier import Dossier
from desktop_app.runs.facts import Fact, FactsView, Section

translate = QCoreApplication.translate


def facts_of(info: CacheInfo) -> tuple[Fact, ...]:
    """What is known of a cache, in words."""
    found = []
    if info.tokens is not None and info.documents is not None:
        text = translate("cache", "%s tokens in %s documents") % (count_text(info.tokens), f"{info.documents:,}")
        found.append(Fact(translate("cache", "Text"), text))
    size = bytes_text(info.bytes)
    if info.bytes_per_token is not None:
        size = translate("cache", "%s, %s a token") % (size, bytes_text(info.bytes_per_token))
    found.append(Fact(translate("cache", "Size"), size))
    if info.top_k is not None:
        found.append(Fact(translate("cache", "Kept of each answer"), _kept(info)))
    if info.mass_kept is not None:
        found.append(Fact(translate("cache", "Mass kept"), f"{info.mass_kept:.2%}"))
    if info.created:
        found.append(Fact(translate("cache", "Made"), words.date_text(info.created)))
    return (*found, Fact(translate("cache", "Folder"), str(info.folder)))


def _kept(info: CacheInfo) -> str:
    if info.tail == "sample":
        return translate("cache", "%d classes drawn at random") % (info.top_k or 0)
    return translate("cache", "the likeliest %d, and the mass of the rest") % (info.top_k or 0)


class CacheCard(QFrame):
    """The outcome of a cache run. The buttons say which one was pressed."""

    plan_wanted = Signal(object)  # CacheInfo
    list_wanted = Signal(object)  # CacheInfo

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._info: CacheInfo | None = None
        self.title = QLabel(self.tr("Cached answers"))
        theme.set_role(self.title, "title")
        self.state = parts.words("warning")
        self.facts = FactsView()
        self.use = button(self.tr("Use in a plan"), "plan")
        self.list = button(self.tr("Show all caches"), "cache")
        buttons = FlowLayout()
        buttons.addWidget(self.use)
        buttons.addWidget(self.list)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        for widget in (self.title, self.state, self.facts):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        self.use.clicked.connect(lambda: self.plan_wanted.emit(self._info))
        self.list.clicked.connect(lambda: self.list_wanted.emit(self._info))
        self.hide()

    def show_cache(self, dossier: Dossier | None) -> None:
        """Show the cache that the run made; hidden until it is known."""
        self._info = dossier.cache if dossier else None
        self.setVisible(self._info is not None)
        if self._info is None:
            return
        trouble = self._info.broken or self._info.unfinished or ""
        self.state.setText(trouble)
        self.state.setVisible(bool(trouble))
        self.use.setEnabled(self._info.usable)
        self.use.setToolTip(trouble)
        self.facts.set_sections([Section("", facts_of(self._info))])
