"""The model: embeddings of activities, an encoder of histories, scores of items."""
