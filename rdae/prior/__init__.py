"""The prior P(ẑ)·P(ŷ|ẑ): networks and tables that every decoder must evaluate to the same integers."""
