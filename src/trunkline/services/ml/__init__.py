"""The registry of models: which versions there are, what they are called, and which of them serve."""
