"""A body to look at: a low mesh that wears a take's bone lengths. Maths without bpy in `fit`, the rest in `build`."""
