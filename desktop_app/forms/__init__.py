"""The one form builder: fields with a label above, help under them, and the problem beside them."""

from desktop_app.forms.field import Field, MoreSettings
from desktop_app.forms.inputs import AmountEdit, Choice, FileList, Segmented
from desktop_app.forms.options import DescribedChoice, Option, Options, Ticks
from desktop_app.forms.place import PlaceField

__all__ = [
    "AmountEdit",
    "Choice",
    "DescribedChoice",
    "Field",
    "FileList",
    "MoreSettings",
    "Option",
    "Options",
    "PlaceField",
    "Segmented",
    "Ticks",
]
