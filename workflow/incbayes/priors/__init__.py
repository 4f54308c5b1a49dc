"""First-stage priors: what q is regularised to before any part was seen."""
