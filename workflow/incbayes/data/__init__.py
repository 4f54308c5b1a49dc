"""Data sets: raw images, prepared files, pixel scalings, and the parts of a study."""
