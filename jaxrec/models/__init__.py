"""The recommender model: activity embeddings, history encoders, item scores and heads."""
