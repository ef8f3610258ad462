"""A method, an encoder and a kind of data for CTLR; pyproject.toml names each as an entry point."""
