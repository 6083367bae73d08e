"""What the window remembers: `window.ini` in the data folder. One typed property for each thing; no names elsewhere."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from PySide6.QtCore import QByteArray, QObject, QSettings, Signal

from core.home import Home
from desktop_app.theme import Scheme

OnClose = Literal["ask", "keep", "stop"]


class Settings(QObject):
    """The settings of one data folder; `changed` names the one that changed."""

    changed = Signal(str)

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = QSettings(str(home.root / "window.ini"), QSettings.Format.IniFormat)

    def _choice(self, name: str, kind: Any, otherwise: str) -> str:
        value = str(self._store.value(name, otherwise))
        return value if value in get_args(kind) else otherwise

    def _flag(self, name: str, *, otherwise: bool) -> bool:
        return str(self._store.value(name, otherwise)).lower() == "true"

    def _set(self, name: str, value: Any) -> None:
        self._store.setValue(name, value)
        self.changed.emit(name)

    def writable(self) -> bool:
        return self._store.isWritable()

    def write(self) -> None:
        """Put everything on disk now."""
        self._store.sync()

    @property
    def scheme(self) -> Scheme:
        """Light, dark, or as the system is."""
        return cast("Scheme", self._choice("scheme", Scheme, "system"))

    @scheme.setter
    def scheme(self, value: Scheme) -> None:
        self._set("scheme", value)

    @property
    def on_close(self) -> OnClose:
        """What closing the window does to runs that are alive."""
        return cast("OnClose", self._choice("on_close", OnClose, "ask"))

    @on_close.setter
    def on_close(self, value: OnClose) -> None:
        self._set("on_close", value)

    @property
    def notify(self) -> bool:
        """Tell the desktop when a run ends."""
        return self._flag("notify", otherwise=True)

    @notify.setter
    def notify(self, value: bool) -> None:
        self._set("notify", value)

    @property
    def greeted(self) -> bool:
        """The welcome page has done its work."""
        return self._flag("greeted", otherwise=False)

    @greeted.setter
    def greeted(self, value: bool) -> None:
        self._set("greeted", value)

    @property
    def page(self) -> str:
        """The page that was open last."""
        return str(self._store.value("page", ""))

    @page.setter
    def page(self, value: str) -> None:
        self._set("page", value)

    @property
    def hub_mirror(self) -> str:
        """The address that stands in for huggingface.co; empty where there is none."""
        return str(self._store.value("hub/mirror", ""))

    @hub_mirror.setter
    def hub_mirror(self, value: str) -> None:
        self._set("hub/mirror", value)

    @property
    def hub_offline(self) -> bool:
        """Never ask the Hub."""
        return self._flag("hub/offline", otherwise=False)

    @hub_offline.setter
    def hub_offline(self, value: bool) -> None:
        self._set("hub/offline", value)

    def layout(self, name: str) -> QByteArray:
        """The remembered geometry or state of a window, splitter or table header; empty if there is none."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_layout(self, name: str, state: QByteArray) -> None:
        self._store.setValue(f"layout/{name}", state)
