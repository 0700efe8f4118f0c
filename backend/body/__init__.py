"""Stage `body`: what was seen of a person -> SMPL-X rotations and a place in camera space."""
