"""What a file is worth, and what it costs."""
