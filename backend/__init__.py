"""The capture subprocess: a video goes in, SMPL-X takes come out. Never imports bpy."""
