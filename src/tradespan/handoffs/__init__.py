"""Passing a journey on, and taking it up again."""
