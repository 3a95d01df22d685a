"""From a command line to checked configs, and what is known of each run beforehand."""
