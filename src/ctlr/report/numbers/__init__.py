"""What sections share: studies sorted into contests, and their rows. Nothing is formatted yet."""
