"""These tests need torch, which only the published networks and training need; some helpers are of other tests."""

import sys
from importlib.util import find_spec
from pathlib import Path

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("motion", "backend")]
