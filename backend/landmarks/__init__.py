"""Landmarks of one person: body, hands and face, by the embedded models."""
