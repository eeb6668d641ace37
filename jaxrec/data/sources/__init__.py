"""Sources: where logs come from. All return `Interactions`, but for a prepared folder."""
