"""A model behind HTTP: the open inference protocol (v2), uploads of files, metrics, drift."""

from ctlr.serving.http.app import create_app
from ctlr.serving.http.limits import Limits
from ctlr.serving.http.server import serve

__all__ = ["Limits", "create_app", "serve"]
