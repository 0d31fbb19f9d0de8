"""Muon, Adam, and the schedule of a run."""
