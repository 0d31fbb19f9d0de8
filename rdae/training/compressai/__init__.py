"""Everything that needs CompressAI: likelihoods to train with, its models to measure."""
