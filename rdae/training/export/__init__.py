"""From trained modules to a weights file: the only door out of training."""
