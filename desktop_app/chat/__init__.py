"""Talking with one to four models side by side."""
