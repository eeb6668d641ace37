"""Sequential recommendation that runs on the user's own device: what is learned."""
