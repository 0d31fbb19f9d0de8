"""Measuring: BD-rate, other codecs, published curves, and the run that puts them into one file.

Nothing that compresses or decompresses imports this package.
"""
