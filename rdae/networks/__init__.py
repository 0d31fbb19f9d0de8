"""What a model computes, and nothing else: no file format, no picture file."""
