"""Where tasks run: the interface the worker's loop knows, and the engines behind it."""
