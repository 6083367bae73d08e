"""What a window's user can do about a trouble with the Hub, where `core.hub` tells a terminal's."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from core.errors import Trouble
from core.hub import HubTrouble

translate = QCoreApplication.translate
TAKES_TOKEN = ("terms", "token")  # what a token would mend


def trouble_words(trouble: Trouble) -> str:
    lacks = trouble.lacks if isinstance(trouble, HubTrouble) else ""
    return words(trouble.what, trouble.way_out, lacks)


def words(what: str, way_out: str, lacks: str) -> str:
    """What happened, and the window's way out if it has one of its own."""
    own = {
        "terms": translate("hub", "Open its page and accept them there, then give a token here."),
        "token": translate("hub", "Check the name; what is private takes a token that may read it."),
        "network": translate(
            "hub", "Look at the network; a mirror is set in Settings, Hugging Face Hub. What was fetched is kept."
        ),
        "online": translate("hub", "Start the program without that variable to use the Hub."),
    }
    return f"{what} {own.get(lacks, way_out)}".strip()
