"""Sources of logs. All return `Interactions`, except for a prepared folder."""
