"""Runs on the dashboards of trackio, which live in the results folder, with no account."""
