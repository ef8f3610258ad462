"""What Prometheus reads at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ctlr.monitoring import Drift

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("ctlr_requests", "Requests answered.", ["route", "code"], registry=self.registry)
        self.seconds = Histogram(
            "ctlr_request_seconds", "From a request's head to its answer.", ["route"], buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.refused = Counter("ctlr_refused_files", "Files that do not fit the model.", registry=self.registry)
        self.batch = Histogram(
            "ctlr_batch_images", "Images predicted at once.", buckets=_IMAGES, registry=self.registry
        )
        self.predicting = Histogram(
            "ctlr_predict_seconds", "In the network, of one batch.", buckets=_SECONDS, registry=self.registry
        )
        self.distance = Gauge("ctlr_drift_distance", "Of the last window, 0 to 1.", ["feature"], registry=self.registry)
        self.drift = Gauge("ctlr_drift", "1 where the last window drifted, else 0.", registry=self.registry)
        self.windows = Counter("ctlr_drift_windows", "Windows judged.", ["verdict"], registry=self.registry)

    def batched(self, images: int, seconds: float) -> None:
        """Note a batch."""
        self.batch.observe(images)
        self.predicting.observe(seconds)

    def judged(self, found: Drift) -> None:
        """Note a window's verdict."""
        self.windows.labels(found.verdict).inc()
        self.drift.set(found.verdict == "drift")
        for row in found.rows:
            self.distance.labels(row.feature).set(row.distance)

    def text(self) -> bytes:
        """In Prometheus' format."""
        text: bytes = generate_latest(self.registry)
        return text
