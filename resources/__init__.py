"""What the program ships besides its code."""
