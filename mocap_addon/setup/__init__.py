"""Setting up the backend's own environment, from nothing but the extension's zip.

`plan` knows what is wanted and what is there, `child` runs the work beside Blender (`worker`, with `pythons` and
`pip`: standard library only, no Blender), `operators` and `panel` are the buttons.
"""
