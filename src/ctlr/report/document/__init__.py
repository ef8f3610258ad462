"""The report for programs: what `ctlr report -o json` prints, and `report.json` beside the page holds."""
