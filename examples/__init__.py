"""Applications to run and to learn from. Installed as `fieldconf_examples`, for the demo."""
