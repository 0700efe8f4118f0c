"""The Blender side: bpy, numpy and the standard library."""
