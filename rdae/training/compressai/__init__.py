"""CompressAI's models, measured beside rdae: all that needs its package."""
