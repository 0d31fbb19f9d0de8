"""Looking at .rdae files in a browser: the files that are asked for, and a server that serves only those.

The viewer itself is built from `web/`; nothing here decodes a picture.
"""
