"""How errors differ between groups of people: age, sex, site, and the columns that a benchmark names."""
