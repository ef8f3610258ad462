"""Encoders: images in, features out."""
