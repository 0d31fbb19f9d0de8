"""Refinement: an encoder that looks for better latents of one picture, at no cost to whoever decodes it.

y -> context steps in real numbers, code lengths -> rate        \
  -> synthesis -> levels, which a judge compares   -> distortion / -> gradient -> y, step by step; then it is rounded

The analysis is the same function for all pictures, and rounds each latent as if it were alone.  What fits one picture
best is found by descent on R + βD itself (Campos et al. 2019, arXiv:1906.01223), where rounding is relaxed so that
gradients know which latents are about to round the other way (Yang, Bamler and Mandt 2020, arXiv:2006.04240).
"""

from rdae.codec.refinement.plans import Aim, Plan, Stage, plans, steps
from rdae.codec.refinement.progress import Listener, Progress, Report
from rdae.codec.refinement.results import Found, Refined, better
from rdae.codec.refinement.search import refine
from rdae.codec.refinement.windows import Box, Neighbourhood, tiles_with_neighbours, windows

__all__ = [
    "Aim",
    "Box",
    "Found",
    "Listener",
    "Neighbourhood",
    "Plan",
    "Progress",
    "Refined",
    "Report",
    "Stage",
    "better",
    "plans",
    "refine",
    "steps",
    "tiles_with_neighbours",
    "windows",
]
