"""The dialog of a data set on the Hugging Face Hub, by its name."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from core.errors import Trouble
from core.fetch import FetchRecipe
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.data.surveys import start
from desktop_app.forms import Field, MoreSettings
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.work import in_background

WIDTH = 520  # px


class FetchDialog(QDialog):
    """`started` carries the run that fetches, and the name of what is fetched."""

    started = Signal(str, str)

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self._starting = False
        self.setWindowTitle(self.tr("A data set from the Hub"))
        self.name, self.split, self.config = QLineEdit(), QLineEdit(), QLineEdit()
        self.name.setPlaceholderText("owner/name")
        self.split.setPlaceholderText("train")
        self.config.setPlaceholderText(self.tr("the only one"))
        self.name_field = Field(self.tr("Name"), self.name, self.tr("As on huggingface.co/datasets: owner/name."))
        self.split_field = Field(
            self.tr("Split"), self.split, self.tr("train[:10000] takes the first ten thousand rows alone.")
        )
        self.config_field = Field(self.tr("Configuration"), self.config, self.tr("Where a data set has several."))
        self.offline = QCheckBox(self.tr("Look into the cache alone, without the network"))
        self.about = words(
            "muted",
            self.tr("It is downloaded once, into the cache that other programs share, and kept as a Parquet file. Its name is all that is sent."),
        )  # fmt: skip
        self.problem = words("error")
        self.cancel = button(self.tr("Cancel"))
        self.fetch = button(self.tr("Fetch"), "hub", "primary")
        self._lay_out()
        self._connect()
        self._look()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.fetch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 3 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        for one in (self.about, self.name_field, self.split_field, self.offline):
            layout.addWidget(one)
        layout.addWidget(MoreSettings(self.config_field))
        layout.addWidget(self.problem)
        layout.addStretch(1)
        layout.addLayout(buttons)
        self.resize(WIDTH, self.sizeHint().height())
        self.name.setFocus()

    def _connect(self) -> None:
        for edit in (self.name, self.split, self.config):
            edit.textChanged.connect(lambda _: self._look())
        self.cancel.clicked.connect(self.reject)
        self.fetch.clicked.connect(self._start)

    def recipe(self) -> FetchRecipe:
        return FetchRecipe(
            data_set=self.name.text().strip(),
            config=self.config.text().strip() or None,
            split=self.split.text().strip() or "train",
            offline=self.offline.isChecked(),
        )

    def _look(self) -> None:
        """Say what is wrong with the name as it is typed."""
        typed = bool(self.name.text().strip())
        problems = self.recipe().problems() if typed else []
        self.name_field.set_problem(problems[0].text if problems else "")
        self.problem.hide()
        why_not = self.tr("Name a data set.") if not typed else problems[0].text if problems else ""
        why_not = self.tr("The run is being made.") if self._starting else why_not
        self.fetch.setEnabled(not why_not)
        self.fetch.setToolTip(why_not)

    def _start(self) -> None:
        home, recipe = self.context.home, self.recipe()
        self._starting = True
        self._look()

        def done(run: str) -> None:
            self.accept()
            self.started.emit(run, recipe.data_set)

        in_background(self, lambda: start(home, recipe), done, self._refuse)

    def _refuse(self, trouble: Trouble) -> None:
        self._starting = False
        self._look()
        self.problem.setText(str(trouble))
        self.problem.show()
