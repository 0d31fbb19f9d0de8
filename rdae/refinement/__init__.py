"""Refinement: an encoder that looks for better latents of one picture, at no cost to whoever decodes it.

y -> lengths, twin -> rate   \
  -> synthesis -> distortion / -> gradient -> y, step by step; what is coded is rounded and measured as ever

The analysis is the same function for all pictures, and rounds each latent as if it were alone.  What fits one picture
best is found by descent on R + βD itself (Campos et al. 2019, arXiv:1906.01223), where rounding is relaxed so that
gradients know which latents are about to round the other way (Yang, Bamler and Mandt 2020, arXiv:2006.04240).
"""

from rdae.refinement.effort import Aim, Plan, Stage, plans, steps
from rdae.refinement.parts import Tally, parts
from rdae.refinement.search import Listener, Progress, Refinement, better

__all__ = [
    "Aim",
    "Listener",
    "Plan",
    "Progress",
    "Refinement",
    "Stage",
    "Tally",
    "better",
    "parts",
    "plans",
    "steps",
]
