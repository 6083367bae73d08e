"""Objectives and sources as rows of a form: their words, and what each would change in time, memory and disk."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from core.numbers import bytes_text, duration_text
from core.objectives import OBJECTIVES, SOURCES
from core.options import Choice
from desktop_app.forms import Option

SAME = 0.05  # a difference below it is none to speak of
LEAST_SECONDS, LEAST_BYTES = 5.0, 10_000_000


def objective_rows(known: Sequence[Choice], chosen: str) -> list[Option]:
    """Every objective with its advice; what it costs is said of the chosen one."""
    return [_row(name, facts.title, facts.advice, known, chosen) for name, facts in OBJECTIVES.items()]


def source_rows(known: Sequence[Choice], chosen: str) -> list[Option]:
    """Every source with its advice and its cost."""
    return [_row(name, title, f"{advice} {cost}", known, chosen) for name, (title, advice, cost) in SOURCES.items()]


def _row(name: str, title: str, words: str, known: Sequence[Choice], chosen: str) -> Option:
    """Without a plan nothing is known but the words; with one, the others say what they would change beside the chosen one."""
    by_name = {one.name: one for one in known}
    one, now = by_name.get(name), by_name.get(chosen)
    if one is None:
        return Option(name, title, words)
    if one.why_not:
        return Option(name, title, words, "", one.why_not)
    if now is None or now is one:
        said = QCoreApplication.translate("PlanPage", "%s and %s of memory.")
        return Option(name, title, words, said % (duration_text(one.seconds), bytes_text(one.memory_bytes)))
    return Option(name, title, words, difference(one, now))


def compared(known: Sequence[Choice], chosen: str) -> tuple[str, str]:
    """What the chosen source changes beside the first, where the teacher reads along, and with what it is compared."""
    plain, now = known[0] if known else None, next((one for one in known if one.name == chosen), None)
    if plain is None or now is None or plain is now or plain.why_not:
        return "", ""
    beside = QCoreApplication.translate("PlanPage", "Beside “%s”: %s, %s of memory, %s of disk.")
    figures = (duration_text(plain.seconds), bytes_text(plain.memory_bytes), bytes_text(plain.disk_bytes))
    return difference(now, plain), beside % (plain.title, *figures)


def difference(one: Choice, other: Choice) -> str:
    """What one takes beside another: `About 40 s shorter, 12 MB more memory.`"""
    seconds = one.seconds - other.seconds
    parts = []
    if abs(seconds) > max(LEAST_SECONDS, SAME * other.seconds):
        longer = QCoreApplication.translate("PlanPage", "%s longer")
        shorter = QCoreApplication.translate("PlanPage", "%s shorter")
        parts.append((longer if seconds > 0 else shorter) % duration_text(abs(seconds)))
    if memory := _unlike(one.memory_bytes, other.memory_bytes):
        more = QCoreApplication.translate("PlanPage", "%s more memory")
        less = QCoreApplication.translate("PlanPage", "%s less memory")
        parts.append((more if memory > 0 else less) % bytes_text(abs(memory)))
    if disk := _unlike(one.disk_bytes, other.disk_bytes):
        more = QCoreApplication.translate("PlanPage", "%s more disk")
        less = QCoreApplication.translate("PlanPage", "%s less disk")
        parts.append((more if disk > 0 else less) % bytes_text(abs(disk)))
    if not parts:
        return QCoreApplication.translate("PlanPage", "About the same time and memory.")
    return QCoreApplication.translate("PlanPage", "About %s.") % ", ".join(parts)


def _unlike(one: int, other: int) -> int:
    """The difference, where it is worth a word."""
    return one - other if abs(one - other) > max(LEAST_BYTES, SAME * other) else 0
