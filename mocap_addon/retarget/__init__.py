"""Captured motion onto the animator's own rig: plain numpy, except for the modules that say they need Blender."""
