"""How sure a number is: intervals, tests, what they can show, and what is claimed by chance."""
