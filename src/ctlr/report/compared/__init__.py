"""What was compared: subjects, studies, methods."""
