"""Composes training flows for the IT domain out of hand-written phrase banks."""
