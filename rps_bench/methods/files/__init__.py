"""The compressed file: written, checked and read back."""
