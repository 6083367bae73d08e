"""The fields of a training that is measured on benchmarks as it goes (`core.watch`): when and where, on what, and on how much."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate

WATCH = [
    *("measure_every", "measure_device"),
    *("measure_tasks", "measure_files", "measure_pairs", "measure_skills"),
    *("measure_limit", "measure_shots"),
]


def watch_title() -> str:
    return translate("plan", "Measured on benchmarks as it goes")


def watch_labels() -> dict[str, str]:
    return {
        "measure_every": translate("plan", "Steps between measurements"),
        "measure_device": translate("plan", "Device that measures"),
        "measure_tasks": translate("plan", "Benchmarks"),
        "measure_files": translate("plan", "Files of the benchmarks"),
        "measure_pairs": translate("plan", "Minimal pairs"),
        "measure_skills": translate("plan", "The sample's questions, of each skill"),
        "measure_limit": translate("plan", "Only the first questions of each"),
        "measure_shots": translate("plan", "Examples before each question"),
    }
