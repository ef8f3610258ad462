"""What the networks saw: images after preprocessing, and what random views make of them."""
