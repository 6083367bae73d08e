"""What a survey found: the histogram of lengths and the figures beside it. The Data page and the Runs page show it alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.charts.histogram import Histogram
from desktop_app.data.words import amount_text, sentence
from desktop_app.forms.field import Elided
from desktop_app.runs.facts import Fact, FactsView, Section

translate = QCoreApplication.translate

Results = Mapping[str, Any]


class StatisticsView(QWidget):
    """`show_results` takes what the survey's run has put down; fields that another version wrote otherwise are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel()
        theme.set_role(self.title, "small")
        self.read_out = Elided()
        self.read_out.setFont(theme.tabular(self.read_out.font()))
        self.read_out.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        self.histogram = Histogram()
        self.histogram.setMinimumHeight(224)
        self.leading, self.trailing = FactsView(), FactsView()
        head = QHBoxLayout()
        head.setSpacing(2 * theme.SPACE)
        head.addWidget(self.title)
        head.addWidget(self.read_out, 1)
        facts = QHBoxLayout()
        facts.setSpacing(4 * theme.SPACE)
        for view in (self.leading, self.trailing):
            facts.addWidget(view, 1, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.histogram, 1)
        layout.addLayout(facts)
        self.histogram.read_out.connect(self.read_out.set_text)

    def show_results(self, results: Results) -> None:
        lengths = results.get("lengths")
        unit = unit_word(results)
        good = isinstance(lengths, dict) and bool(lengths.get("edges")) and bool(lengths.get("counts"))
        for widget in (self.title, self.read_out, self.histogram):
            widget.setVisible(good)
        if good and isinstance(lengths, dict):
            self.title.setText(self.tr("Rows by length in %s") % unit)
            context = results.get("context")
            self.histogram.show_counts(
                lengths["edges"],
                lengths["counts"],
                context if isinstance(context, int) else None,
                unit,
                self.tr("rows"),
            )
        sections = sections_of(results)
        self.leading.set_sections(sections[:2])
        self.trailing.set_sections(sections[2:])


def unit_word(results: Results) -> str:
    return translate("survey", "tokens") if results.get("unit") == "tokens" else translate("survey", "characters")


def sections_of(results: Results) -> list[Section]:
    """All figures in words."""
    found = [
        Section(translate("survey", "Amount"), tuple(_amount(results))),
        Section(translate("survey", "Length"), tuple(_length(results))),
        Section(translate("survey", "There twice"), tuple(_twice(results))),
        Section(translate("survey", "Turns"), tuple(_roles(results))),
        Section(translate("survey", "To mind"), tuple(_flaws(results))),
    ]
    return [section for section in found if section.facts]


def _amount(results: Results) -> list[Fact]:
    facts = []
    if isinstance(documents := results.get("documents"), int):
        facts.append(Fact(translate("survey", "Rows"), f"{documents:,}"))
    kinds = results.get("kinds")
    if isinstance(kinds, dict) and len(kinds) > 1:
        said = ", ".join(amount_text(str(kind), count) for kind, count in kinds.items())
        facts.append(Fact(translate("survey", "Of several kinds"), said))
    if isinstance(tokens := results.get("tokens"), int):
        facts.append(Fact(translate("survey", "Tokens"), count_text(tokens)))
    if isinstance(size := results.get("bytes"), int):
        facts.append(Fact(translate("survey", "Text"), bytes_text(size)))
    return facts


def _length(results: Results) -> list[Fact]:
    facts, unit = [], unit_word(results)
    if isinstance(mean := results.get("mean_length"), int | float):
        facts.append(Fact(translate("survey", "On average"), f"{mean:,.0f} {unit}"))
    percentiles = results.get("percentiles")
    if isinstance(percentiles, dict):
        said = {
            "50": translate("survey", "Half are up to"),
            "90": translate("survey", "90% are up to"),
            "99": translate("survey", "99% are up to"),
        }
        facts += [Fact(said[name], f"{value:,.0f}") for name, value in percentiles.items() if name in said]
    if isinstance(longest := results.get("longest"), int):
        facts.append(Fact(translate("survey", "The longest"), f"{longest:,}"))
    cut, context = results.get("truncated"), results.get("context")
    if isinstance(cut, int | float) and isinstance(context, int):
        name = translate("survey", "Cut at %s") % f"{context:,}"
        lost = results.get("truncated_tokens")
        of_tokens = translate("survey", "%s of all %s are lost") % (share_text(lost), unit) if cut and isinstance(lost, int | float) else ""  # fmt: skip
        value = translate("survey", "%s of the rows") % share_text(cut) if cut else translate("survey", "none")
        facts.append(Fact(name, value, of_tokens))
    return facts


def _twice(results: Results) -> list[Fact]:
    facts = []
    documents = results.get("documents") or 0
    for name, title in (
        ("exact_duplicates", translate("survey", "The very same")),
        ("near_duplicates", translate("survey", "Almost the same")),
    ):
        count = results.get(name)
        if isinstance(count, int):
            share = f" ({share_text(count / documents)})" if count and documents else ""
            told = f"{count:,}{share}" if count else translate("survey", "none")
            facts.append(Fact(title, told, _first_place(results.get(f"{name}_shown"))))
    return facts


def _first_place(shown: Any) -> str:
    """Where the first of them is."""
    first = shown[0] if isinstance(shown, list) and shown else None
    if isinstance(first, str):
        return translate("survey", "first: %s") % _short(first)
    if isinstance(first, dict) and {"place", "like"} <= first.keys():
        return translate("survey", "first: %s, like %s") % (_short(str(first["place"])), _short(str(first["like"])))
    return ""


def _short(place: str) -> str:
    """A place without the folders: line 3 of a.jsonl."""
    where, of, path = place.partition(" of ")
    return f"{where}{of}{path.replace(chr(92), '/').rsplit('/', 1)[-1]}"


def _roles(results: Results) -> list[Fact]:
    words = {
        "system": translate("survey", "System"),
        "user": translate("survey", "User"),
        "assistant": translate("survey", "Assistant"),
        "tool": translate("survey", "Tools"),
    }
    roles = results.get("roles")
    if not isinstance(roles, dict):
        return []
    return [
        Fact(words.get(str(role), str(role)), f"{count:,}") for role, count in roles.items() if isinstance(count, int)
    ]


def _flaws(results: Results) -> list[Fact]:
    facts = []
    if broken := results.get("broken"):
        rows = results.get("broken_rows")
        first = str(rows[0]) if isinstance(rows, list) and rows else ""
        facts.append(Fact(translate("survey", "Can't be read"), translate("survey", "%s rows, skipped") % f"{broken:,}", first))  # fmt: skip
    if refused := results.get("refused_by_template"):
        first = str(results.get("refused_first") or "")
        facts.append(Fact(translate("survey", "Template refuses"), f"{refused:,}", first))
    flaws = results.get("flaws")
    for flaw in flaws if isinstance(flaws, list) else []:
        if isinstance(flaw, dict) and isinstance(flaw.get("count"), int):
            where = translate("survey", "first: %s") % _short(str(flaw.get("first") or ""))
            facts.append(Fact(f"{flaw['count']:,}", sentence(str(flaw.get("text") or "")), where))
    return facts


def share_text(share: float) -> str:
    """A share that is not nothing never reads as 0%."""
    if 0 < share < 0.0005:
        return "< 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
