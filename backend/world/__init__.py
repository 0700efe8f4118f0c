"""Stage `world`: camera, gravity, floor, contacts, and the root's path over it."""
