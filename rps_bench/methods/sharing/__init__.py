"""Parameter sharing: hash maps into one repository for the whole network."""
