"""How a number's field follows the draft without taking away what somebody is typing."""

from __future__ import annotations

from core.numbers import count_text, parse_count
from desktop_app.forms import AmountEdit

SHOWN = "shown"  # the property that remembers what the draft said last


def follow(edit: AmountEdit, value: float | None) -> None:
    """Show a value that is new; while it stays, what stands in the field is the user's own."""
    if edit.property(SHOWN) == repr(value):
        return
    edit.setProperty(SHOWN, repr(value))
    if edit.value() != value or value is None:
        edit.set_value(value)


def forget(edit: AmountEdit) -> None:
    """The next value is shown whatever stands in the field."""
    edit.setProperty(SHOWN, None)


def whole_text(value: float) -> str:
    """Exact: a seed or a length must read back as it was written."""
    return count_text(value) if parse_count(count_text(value)) == value else str(int(value))


def real_text(value: float) -> str:
    return f"{value:g}"
