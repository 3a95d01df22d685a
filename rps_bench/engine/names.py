"""The names that the option ``engine`` takes; imports no torch, so that a bad one ends at once."""

PLAIN = "plain"
AUTO = "auto"  # native where it can be had, else plain
KERNEL_SETS = (PLAIN, "products", "native")
ENGINES = (*KERNEL_SETS, AUTO)
