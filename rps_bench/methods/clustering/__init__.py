"""Compression by a codebook: few values, and for each weight the index of one."""
