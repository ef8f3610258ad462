"""An image that holds one static busybox, made without any registry or engine, for trials on a test cluster.

    python tests/support/tiny_image.py BUSYBOX OUT.tar

Debian has the program in `busybox-static`. `ctr images import`, `podman load` and `kind load image-archive` take the
file.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

__all__ = ["IMAGE", "write_image"]

IMAGE = "localhost/ctlr-test-trial:1"
_PROGRAMS = ("sh", "echo", "sleep", "tail", "cat", "false", "true")


def write_image(busybox: Path, out: Path) -> None:
    """Write an OCI archive whose `sh` and a few more programs are busybox."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "bin/busybox", busybox.read_bytes(), 0o755)
        for name in _PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    blobs: list[bytes] = [layer.getvalue()]
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(blobs[0])]},
    }  # fmt: skip
    blobs.append(json.dumps(config).encode())
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": _entry(blobs[1], f"{kind}.config.v1+json"), "layers": [_entry(blobs[0], f"{kind}.layer.v1.tar")],
    }  # fmt: skip
    blobs.append(json.dumps(manifest).encode())
    names = {"io.containerd.image.name": IMAGE, "org.opencontainers.image.ref.name": IMAGE.rpartition(":")[2]}
    index = _entry(blobs[2], f"{kind}.manifest.v1+json") | {"annotations": names}
    with tarfile.open(out, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
        for blob in blobs:
            _add(tar, f"blobs/{_digest(blob).replace(':', '/')}", blob)


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _entry(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


if __name__ == "__main__":
    write_image(Path(sys.argv[1]), Path(sys.argv[2]))
