"""The searches that there are, and what an epoch of each is thought to take."""

from __future__ import annotations

import pytest

from ctlr.automl import FAMILIES
from ctlr.automl.families import epoch_seconds
from ctlr.specs import ENCODERS


def test_the_light_networks_state_what_a_search_tries() -> None:
    networks = [family.encoder for family in FAMILIES.values() if family.has_network]
    assert {"small_cnn", "row_rnn", "cell_cnn"} <= {name for name in networks if ENCODERS[name].space}


def test_epochs_are_counted_by_their_products_recurrent_ones_too() -> None:
    """By hand: convolutions of 3 x 3, of which the first strides and the others are followed by pooling; a linear layer
    of 32 columns and two LSTM layers of 64 units, over 32 rows."""
    small = 2 * 9 * (16**2 * 1 * 8 + 16**2 * 8 * 16 + 8**2 * 16 * 32 + 4**2 * 32 * 32)
    rows = 2 * 32 * (32 * 64 + 2 * 4 * 64 * (64 + 64))
    found = epoch_seconds(["small_cnn", "row_rnn"], (1, 32, 32), images=100)
    assert found["row_rnn"] / found["small_cnn"] == pytest.approx(rows / small)
