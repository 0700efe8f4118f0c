"""These tests need torch, which only training and the published networks need: see the README's slower checks."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]
