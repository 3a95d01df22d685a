"""The machine and the process: devices, locks, signals, threads and turns."""
