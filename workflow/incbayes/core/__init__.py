"""What every room builds on: errors, files that appear whole, seals, random streams, registries."""
