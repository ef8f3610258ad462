"""Train, validation and test; whether methods were trained alike, and long enough."""
