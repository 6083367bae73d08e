"""The card of the Settings page about the Hub: token, mirror, proxy, being offline."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QFrame, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from core.errors import Trouble
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms import Field, parts
from desktop_app.forms.field import button
from desktop_app.hub import connection
from desktop_app.hub.connection import TokenState
from desktop_app.icons import icon
from desktop_app.sign import Sign
from desktop_app.work import Latest, in_background

WIDTH = 480  # px


class TokenDialog(QDialog):
    """Takes a token and keeps it in the system's keyring; it is shown nowhere."""

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.setWindowTitle(self.tr("A token for the Hub"))
        told = self.tr(
            "Some models ask for one: their authors want to know who accepted their terms. Make one that may read, at %s/settings/tokens."
        )
        self.about = parts.words("muted", told % connection.address())
        self.token = QLineEdit()
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText("hf_…")
        self.field = Field(
            self.tr("Token"), self.token, self.tr("It is kept in the system's keyring and sent to that address alone.")
        )
        self.cancel = button(self.tr("Cancel"))
        self.keep = button(self.tr("Keep it"), "private", "primary")
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        layout.addWidget(self.about)
        layout.addWidget(self.field)
        layout.addLayout(buttons)
        self.setMinimumWidth(WIDTH)
        self.token.textChanged.connect(lambda _: self._look())
        self.cancel.clicked.connect(self.reject)
        self.keep.clicked.connect(self._keep)
        self._look()

    def _look(self) -> None:
        why_not = "" if self.token.text().strip() else self.tr("Paste a token first.")
        self.keep.setEnabled(not why_not)
        self.keep.setToolTip(why_not)
        self.field.set_problem("")

    def _keep(self) -> None:
        from core import hub

        secret = self.token.text()
        self.keep.setEnabled(False)
        in_background(self, lambda: hub.keep_token(secret), lambda _: self.accept(), self._refuse)

    def _refuse(self, trouble: Trouble) -> None:
        self.keep.setEnabled(True)
        self.field.set_problem(str(trouble))


def ask_for_token(context: Context, parent: QWidget) -> TokenDialog:
    dialog = TokenDialog(context, parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
    return dialog


class HubCard(QFrame):
    """Everything holds at once; a mirror when it is one."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.context = context
        self._latest = Latest(self)
        self.title = QLabel(self.tr("Hugging Face Hub"))
        theme.set_role(self.title, "title")
        self.sign, self.token_words = Sign(size=18), parts.words()
        self.give, self.forget = button(self.tr("Give a token…"), "private"), button(self.tr("Forget it"), "remove")
        self.mirror = QLineEdit(context.settings.hub_mirror)
        self.mirror.setPlaceholderText(connection.ADDRESS)
        self.mirror.setMaximumWidth(360)
        self.mirror_field = Field(self.tr("Mirror"), self.mirror, "")
        self.offline = QCheckBox(self.tr("Stay offline: never ask the Hub"))
        self.offline.setChecked(context.settings.hub_offline)
        self.proxy = parts.words("small")
        self.forget.setEnabled(False)
        self.forget.setToolTip(self.tr("Looking for a token…"))
        self._lay_out()
        self.mirror.textEdited.connect(self._set_mirror)
        self.offline.toggled.connect(self._set_offline)
        self.give.clicked.connect(self._ask)
        self.forget.clicked.connect(self._forget)
        self._say()

    def _lay_out(self) -> None:
        told = QWidget()
        line = QHBoxLayout(told)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE)
        line.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.token_words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        for widget in (
            self.title,
            told,
            parts.line(self.give, self.forget),
            self.mirror_field,
            self.proxy,
            self.offline,
        ):
            layout.addWidget(widget)

    def look(self) -> None:
        """Ask where a token is."""
        if not self.token_words.text():
            self.token_words.setText(self.tr("Looking for a token…"))
        self._latest.ask(connection.token_state, self._show_token, self._refuse)

    def _say(self) -> None:
        by_environment = connection.offline_by_environment()
        self.offline.setEnabled(not by_environment)
        self.offline.setToolTip(self.tr("HF_HUB_OFFLINE says so.") if by_environment else "")
        self.offline.setChecked(by_environment or self.context.settings.hub_offline)
        asked = self.tr("An address that serves the same as the Hub. Now %s is asked.")
        self.mirror_field.set_help(asked % connection.address())
        proxy = connection.proxy()
        told = self.tr("Through the proxy %s.") % proxy if proxy else self.tr("No proxy; HTTPS_PROXY would name one.")
        self.proxy.setText(told)

    def _show_token(self, state: TokenState) -> None:
        told = {
            "environment": self.tr("HF_TOKEN names a token."),
            "kept": self.tr("A token is kept on this machine."),
            "none": self.tr("No token. Most models need none; gated ones do."),
        }
        self.token_words.setText(told[state])
        level = "info" if state == "none" else "good"
        self.sign.set_icon(icon(level, "muted" if state == "none" else "good"))
        self.give.setText(self.tr("Give a token…") if state == "none" else self.tr("Give another token…"))
        why_not = {"environment": self.tr("The environment names it."), "none": self.tr("There is none.")}.get(
            state, ""
        )
        self.forget.setEnabled(not why_not)
        self.forget.setToolTip(why_not)

    def _refuse(self, trouble: Trouble) -> None:
        theme.set_role(self.token_words, "error")
        self.token_words.setText(str(trouble))

    def _ask(self) -> None:
        ask_for_token(self.context, self).accepted.connect(self.look)

    def _forget(self) -> None:
        from core import hub

        def done(forgotten: bool) -> None:
            elsewhere = self.tr("It is not in the keyring: another program keeps it (hf auth logout).")
            self.context.say(
                self.tr("The token is forgotten.") if forgotten else elsewhere, "good" if forgotten else "warning"
            )
            self.look()

        in_background(self, hub.forget_token, done, self.context.trouble)

    def _set_mirror(self, text: str) -> None:
        text = text.strip().rstrip("/")
        wrong = bool(text) and not connection.is_address(text)
        self.mirror_field.set_problem(self.tr("A mirror is an address, as https://hub.example.org.") if wrong else "")
        if not wrong:
            self.context.settings.hub_mirror = text
            connection.apply(self.context.settings)
            self._say()

    def _set_offline(self, wanted: bool) -> None:
        if not connection.offline_by_environment() and self.context.settings.hub_offline != wanted:
            self.context.settings.hub_offline = wanted
