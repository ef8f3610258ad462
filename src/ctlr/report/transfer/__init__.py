"""One transfer, of parts that have folders of their own."""
