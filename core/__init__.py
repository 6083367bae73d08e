"""What one means: recipes, plans, the law, run folders, the queue and the library. No Qt and no torch in here."""

__version__ = "0.1.0"
