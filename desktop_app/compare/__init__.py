"""The Compare page: models and runs side by side, everything ever measured, and whose answers were judged better."""
