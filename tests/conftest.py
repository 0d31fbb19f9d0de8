"""What all tests share: one thread, and property tests that a busy machine cannot fail by being slow."""

import os

from hypothesis import HealthCheck, settings

# Before torch is imported anywhere, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("rdae", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rdae")
