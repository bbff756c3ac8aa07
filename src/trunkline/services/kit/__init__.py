"""What every service is made of beside its own work: HTTP API, tokens, keys, the end of a tenant."""
