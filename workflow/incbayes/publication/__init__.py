"""What a study has measured so far, published in a folder that can be committed."""
