"""What everything stands on: errors and checks, files written whole, seeds, plain output."""
