"""Makes what tests share importable for a program that is started by itself: `import tests_on_path`, before it."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"

sys.path[:0] = [str(TESTS / name) for name in ("support", "reference") if str(TESTS / name) not in sys.path]
