"""The life of records: a model of it, and a walk through it that compares the server with the model."""
