"""How the Hub is reached: a mirror, being offline, and the token, where the settings and the environment name them.

Downloads and runs are processes of their own, so what the settings say is put into the environment that they inherit.
"""

from __future__ import annotations

import os
from typing import Literal
from urllib.parse import urlsplit

from desktop_app.settings import Settings

TokenState = Literal["environment", "kept", "none"]
ADDRESS = "https://huggingface.co"
MIRROR, OFFLINE = "HF_ENDPOINT", "HF_HUB_OFFLINE"
REACH_S = 8.0
_given = os.environ.get(MIRROR)  # by whoever started the program


def apply(settings: Settings) -> None:
    """Let everything that asks the Hub from now on ask where the settings say."""
    if settings.hub_mirror:
        os.environ[MIRROR] = settings.hub_mirror
    elif _given is not None:
        os.environ[MIRROR] = _given
    else:
        os.environ.pop(MIRROR, None)


def address() -> str:
    return (os.environ.get(MIRROR) or ADDRESS).rstrip("/")


def offline(settings: Settings) -> bool:
    return settings.hub_offline or offline_by_environment()


def offline_by_environment() -> bool:
    return os.environ.get(OFFLINE, "").lower() in ("1", "true", "yes", "on")


def is_address(text: str) -> bool:
    """Whether it can be a mirror's: http or https with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and " " not in text


def proxy() -> str:
    """The proxy that the environment names, without its password; empty for none."""
    from urllib.request import getproxies

    named = getproxies().get("https", "")
    return f"{named.partition('://')[0]}://{named.rpartition('@')[2]}" if "@" in named else named


def reach() -> None:
    """Raises HubTrouble at once where nobody answers; the Hub's own library would go on trying for half a minute."""
    import socket

    from core import hub

    asked = urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or address())
    port = asked.port or (80 if asked.scheme == "http" else 443)
    try:
        socket.create_connection((asked.hostname or "", port), timeout=REACH_S).close()
    except OSError as error:
        raise hub.as_trouble(ConnectionError(error.strerror or str(error)), address()) from error


def token_state() -> TokenState:
    """Where a token is found; asks the system's keyring, so not in the window's thread."""
    from core import hub

    if os.environ.get("HF_TOKEN"):
        return "environment"
    return "kept" if hub.token() is not None else "none"
