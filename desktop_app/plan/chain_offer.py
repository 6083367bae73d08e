"""Where the teacher is far too large: an offer to distill in steps, by way of the assistants that the law plans."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.chain import CAUTION
from core.numbers import count_text
from core.plan import Plan
from desktop_app import theme
from desktop_app.forms.field import button
from desktop_app.forms.parts import words
from desktop_app.plan.options import Chain


class ChainOffer(QWidget):
    """`wanted` starts the chain. Out of sight where the law plans no assistant."""

    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.about, self.caution = words(), words("small", CAUTION)
        self.start = button("", "chain")
        self.why_not = words("warning")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.about)
        layout.addWidget(self.caution)
        layout.addWidget(self.start, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.why_not)
        self.start.clicked.connect(self.wanted)
        self.show_chain(None, None)

    def show_chain(self, chain: Chain | None, plan: Plan | None, why_not: str = "") -> None:
        """`why_not` is the page's own reason, as a problem that must be mended first."""
        shown = chain is not None and plan is not None and plan.teacher is not None
        self.setVisible(shown)
        if not shown or chain is None or plan is None or plan.teacher is None:
            return
        steps = len(chain.sizes) + 1
        said = self.tr(
            "The teacher is %s times the student, a long way for one step. In %d steps each model learns from the one "
            "before, and the budget of %s tokens is shared."
        )
        self.about.setText(said % (f"{plan.teacher.ratio:.3g}", steps, count_text(plan.tokens)))
        self.start.setText(self.tr("Distill in %d steps through %s") % (steps, self._through(chain.sizes)))
        why_not = chain.why_not or why_not
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not)
        self.why_not.setText(why_not)
        self.why_not.setVisible(bool(why_not))

    def _through(self, sizes: tuple[int, ...]) -> str:
        names = [count_text(size) for size in sizes]
        if len(names) == 1:
            return names[0]
        if len(names) > 3:
            return self.tr("%s … %s") % (names[0], names[-1])
        return self.tr("%s and %s") % (", ".join(names[:-1]), names[-1])
