"""Retargeting onto the animator's own rig: numpy only, except the modules that say they need Blender."""
