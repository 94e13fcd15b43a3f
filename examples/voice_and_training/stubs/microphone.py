"""A stand-in for a microphone: no sound inside, the bytes of a clip are the words that were said.

A seeded desk talks to its assistant: orders, questions, praise and blame, and talk that is meant
for others. Noise makes letters unreadable, and now and then an echo brings the same clip again.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

NOISE = 0xFF  # a byte that no text in UTF-8 has
NOISY, ECHO = 0.12, 0.12  # shares of the clips

USUAL = ("half a", "a quarter of a", "one", "two")
ODD = ("a third of a", "a hundredth of a", "forty")  # what no exchange takes, one after the other
CHATTER = ("did you see the match", "the coffee is cold", "he said buy one bitcoin, imagine")
FALSE_WAKES = ("hey desk drawer is stuck again", "hey desk lamp is broken")
QUESTIONS = ("hey desk how are we doing",)
FEEDBACK = ("hey desk well done", "hey desk that was a mistake")


class Clip(NamedTuple):
    """What the microphone took, from the first to the last word."""

    number: int
    audio: bytes


def clips(seed: int = 7) -> Iterator[Clip]:
    """What is said in the room, for ever; the same for the same seed."""
    rng = random.Random(seed)
    odd = itertools.cycle(ODD)
    for number in itertools.count(1):
        clip = Clip(number, recorded(said(rng, odd), rng))
        yield clip
        if rng.random() < ECHO:
            yield clip


def said(rng: random.Random, odd: Iterator[str]) -> str:
    """One sentence."""
    kind = rng.random()
    for share, sentences in ((0.12, CHATTER), (0.05, FALSE_WAKES), (0.08, QUESTIONS)):
        if kind < share:
            return rng.choice(sentences)
        kind -= share
    if kind < 0.12:
        return rng.choice(FEEDBACK)
    amount = rng.choice(USUAL) if rng.random() < 0.75 else next(odd)
    limit = " at forty thousand" if rng.random() < 0.07 else ""
    return f"hey desk {rng.choice(('buy', 'sell'))} {amount} bitcoin{limit}"


def recorded(words: str, rng: random.Random) -> bytes:
    """The clip of a sentence; a noisy one has lost a fifth of its letters, after the wake word."""
    audio = bytearray(words.encode())
    if rng.random() < NOISY:
        for at in range(8, len(audio)):
            if rng.random() < 0.2:
                audio[at] = NOISE
    return bytes(audio)
