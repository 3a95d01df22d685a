"""Tables of the documents, written from the committed files that hold their numbers."""
