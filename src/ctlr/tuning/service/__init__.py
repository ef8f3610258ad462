"""CTLR's samplers as a suggestion service of a cluster's Katib (gRPC).

server.py       the service: a request in, as many proposals out
suggestion.py   Katib's requests as values and back, and the notes that travel with them
messages.py     Katib's messages, built with whatever protobuf is installed
"""

from ctlr.tuning.service.server import CHECKPOINTS, PORT, serve, start_server, suggest
from ctlr.tuning.service.suggestion import LABEL, NUMBER

__all__ = ["CHECKPOINTS", "LABEL", "NUMBER", "PORT", "serve", "start_server", "suggest"]
