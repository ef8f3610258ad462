"""How a report looks: its page, tables and drawings."""
