"""Cleaning a take: maths without bpy (motions in, motions out) and the part in Blender (`stage`, `operators`, `panel`).

The captured action is never touched: everything is computed anew from it and from the settings, into an action of its
own, until the animator presses Apply.
"""
