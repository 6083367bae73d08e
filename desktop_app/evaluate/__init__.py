"""Asking for evaluations."""
