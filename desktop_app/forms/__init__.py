"""The one form builder: fields with a label above, help under them, and the problem beside them."""

from desktop_app.forms.field import Field, MoreSettings
from desktop_app.forms.inputs import AmountEdit, Choice, FileList, Segmented

__all__ = ["AmountEdit", "Choice", "Field", "FileList", "MoreSettings", "Segmented"]
