"""The loop around the core: store, recipes, templates, slow target calls."""
