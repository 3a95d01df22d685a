"""Runs told to a dashboard through a process of its own, which nothing can make them wait for."""
