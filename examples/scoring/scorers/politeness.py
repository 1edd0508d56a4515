"""Written by a user: how polite the answer is. All there is to writing a scorer of one's own."""

from __future__ import annotations

from typing import Any

from scorers.scorer import Score, scorer

KIND = ["please", "thank", "sorry", "bitte", "dank", "bonjour", "merci", "gracias", "kiitos"]
KIND += ["ありがとう", "شكر", "धन्यवाद", "дякуємо", "happy to", "guten tag"]
RUDE = ["obviously", "stop asking", "just read", "whatever", "as i already said"]


@scorer
def politeness(outputs: Any) -> Score | None:
    """1 with a kind word, 0 with a rude one, 0.5 with neither."""
    if not isinstance(outputs, dict):
        return None
    answer = str(outputs.get("content", "")).casefold()
    rude = [word for word in RUDE if word in answer]
    if rude:
        return Score(0.0, f"rude: {', '.join(rude)}")
    return Score(1.0, "kind") if any(word in answer for word in KIND) else Score(0.5, "neutral")
