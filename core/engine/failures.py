"""Errors told to the user: our own words for the troubles we know, an honest "this is our bug" for the rest."""

from __future__ import annotations

import errno

from core.engine.processes import lost_a_peer
from core.engine.session import Session
from core.errors import Trouble
from core.runs import RunFolder

# What is left of ENOSPC by safetensors (Rust) and by torch.save, whose zip writer only sees that bytes are missing
SIGNS_OF_A_FULL_DISK = (
    "No space left on device",
    "os error 28",
    "file write failed",
    "iostream error",
    "inline_container.cc",
)


def as_trouble(error: BaseException, run: RunFolder, session: Session | None) -> Trouble:
    """What the user is told about an error: our own words for the troubles we know, else that it is our bug."""
    if isinstance(error, Trouble):
        return error
    phase = session.phase_name if session else "starting"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble(
            f"The disk is full ({error.filename or run.path}) while {phase}.", "Free some space, then resume the run."
        )
    text = str(error)
    if any(sign in text for sign in SIGNS_OF_A_FULL_DISK):
        return Trouble(f"The disk of {run.path} is full while {phase}.", "Free some space, then resume the run.")
    if isinstance(error, PermissionError):
        return Trouble(
            f"{error.filename} may not be read or written while {phase}.",
            "Change its permissions, then resume the run.",
        )
    if is_out_of_memory(error):
        return Trouble(
            f"The memory of the device ran out while {phase}.",
            "Choose a smaller student, a shorter sequence, gradient checkpointing, or close other programs; then resume.",
        )
    if session is not None and session.peers.count > 1 and lost_a_peer(error):
        return Trouble(
            f"One of the run's {session.peers.count} processes ended, or does not answer, while {phase}; the others can't go on.",
            "The log may say why. Resume the run: it goes on from its newest checkpoint.",
        )
    return Trouble(
        f"The engine met an error that we did not foresee while {phase}: {type(error).__name__}: {text[:300]}",
        "Please report it with the details.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """True for torch's out-of-memory errors on any device and for Python's own."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "not enough memory" in text
    )
