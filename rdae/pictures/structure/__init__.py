"""How picture files are built: what their segments, chunks, boxes and tags say that Pillow does not pass on.

Each module knows one kind of structure, and nothing of what becomes of it.
"""
