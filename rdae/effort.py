"""Levels of effort: how long an encoder may look for latents that fit a picture better (`rdae.codec.refinement`)."""

MAX_EFFORT = 9
"""0 is the analysis alone, 9 some four hundred steps of descent."""

DEFAULT_EFFORT = 1
"""One step."""
