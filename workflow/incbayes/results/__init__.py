"""What the stages of a study wrote, gathered into tidy frames and verified."""
