"""What is drawn from data: curves, the law, memory, shapes."""
