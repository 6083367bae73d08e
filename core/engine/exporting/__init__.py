"""The ways to ship a model: each writes its format beside the place where it will stand; `check` compares it with the original."""
