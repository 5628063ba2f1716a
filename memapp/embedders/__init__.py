"""Turn texts into vectors; each module has one factory, create(config)."""
