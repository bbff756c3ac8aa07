"""The catalog: which assets and models there are, what is known of them, and what depends on what."""
