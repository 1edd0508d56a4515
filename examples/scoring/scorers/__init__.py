"""Scores traces of a support assistant; ``jobs`` is where Longshore begins."""
