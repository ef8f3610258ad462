"""What CTLR may know of the encoder without loading torch; the network itself is in `networks`."""

from ctlr.specs import EncoderPart

AVERAGING_CNN = EncoderPart(
    build="ctlr_example.networks:averaging_cnn", blocks=3, dimensions=(2,), scaled_in=(2,),
    about="three blocks that halve every side by averaging, for small pictures",
)  # fmt: skip
