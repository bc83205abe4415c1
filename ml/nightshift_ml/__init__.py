"""Nightshift's model worker: fits, scores and explains the eight models and the stack."""
