"""Seeing: what was measured, as figures and pages.

It reads what `rdae.evaluation` found; nothing that compresses, decompresses or measures imports this package.
"""
