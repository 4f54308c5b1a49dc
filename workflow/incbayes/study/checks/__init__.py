"""What a schema cannot say of a study: checks between its keys, made before anything runs."""
