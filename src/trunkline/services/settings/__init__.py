"""The settings that services define and check, one module a service: what `config set` may set them to."""
