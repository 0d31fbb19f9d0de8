"""A picture <-> the bytes of a file: the one place where the stages meet.

encode: picture -> analysis -> y, z -> [refinement] -> latents (prior <-> range coder) -> sections -> container -> bytes
decode: bytes -> container -> latents (range coder <-> prior) -> ŷ -> synthesis -> rows of levels
"""
