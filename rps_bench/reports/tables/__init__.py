"""The tables as files: CSV and Parquet, Markdown and LaTeX."""
