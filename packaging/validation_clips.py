"""Write the clips that hold the shipped networks to their figures: python packaging/validation_clips.py MOTIONS.npz

MOTIONS: people whom no training has seen. Needs torch, for the synthesiser. Once made, the clips stay as they are, so
that weights of today and of tomorrow are measured by the same ones, unless it turns out that detectors see otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.evaluation.chains import write_clips
from backend.motion import mocap, observed

CLIPS = Path(__file__).parents[1] / "tests" / "golden" / "motion_clips.npz"
USUAL, FEET = 12, 5  # clips as people move, and with ankles as people rarely hold them


def main(motions: Path) -> None:
    """Write CLIPS."""
    data = mocap.load(motions)
    usual = observed.synthesise(data, observed.Setting(1.0), USUAL, seed=11)
    feet = observed.synthesise(data, observed.Setting(1.0, feet=1.0), FEET, seed=12)
    write_clips([*usual, *feet], CLIPS)
    print(f"{CLIPS.name}: {len(usual)} usual clips, then {len(feet)} with moved ankles")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
