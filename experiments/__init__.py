"""What people type: one run, many, their comparison, and what they cost."""
