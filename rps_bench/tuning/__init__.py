"""Learning rates that are chosen on validation images: the search, and the file of its choices."""
