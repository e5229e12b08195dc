"""Foretell: watch sensors, foretell each next reading, and say when reality disagrees."""
