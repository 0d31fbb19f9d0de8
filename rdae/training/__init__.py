"""Training: objective, data, optimiser, trainer, export.  Nothing that decodes a file imports this."""
