"""Methods that differ in their finetuning alone: which one, and what the choice is worth."""
