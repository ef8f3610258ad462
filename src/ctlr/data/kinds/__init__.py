"""What reads each kind of data, one home a kind; its spec, in `ctlr.specs`, names it.

The reader itself is light to load: `ctlr plan` asks it. What opens or makes images lies beside it.
"""
