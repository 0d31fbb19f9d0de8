"""What a decoder needs of a model, as one file: for programs that fetch a model before they show a picture.

A weights file is 25 MB, of which a decoder reads 15; and its graphs are files of their own, each a request.  The slice
of a model holds the graphs byte for byte as they lie beside the weights, and those parts of the weights file that they
and the decoder read, with their places: put back there, zeros between, the graphs find their tensors where they look.

    4 bytes   length of the header, little-endian
    header    JSON: format; name, sha256, bytes and metadata of the weights file; tensors: dtype, shape and place in the
              weights file; pieces: [place, length] of each part of it; graphs: [name, length]
    pieces    one after the other
    graphs    likewise

and the whole is compressed with gzip.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

from rdae.errors import WeightsError
from rdae.networks import graphs
from rdae.networks.architecture import Architecture
from rdae.networks.registry import damage, manifest_of, sha256_of
from rdae.networks.weights import FORMAT, current_name

SLICE_FORMAT = "rdae-model-slice-1"
SUFFIX = ".rdae-model.gz"

DECODERS = ("check", "hyper_synthesis", *(f"context.{step}" for step in graphs.STEPS), "synthesis")
GRAPHS = (*DECODERS, *(f"levels.{scale}" for scale in graphs.SCALES))
"""The graphs that decode: not those of the encoder and of its search."""

_BESIDE = re.compile(r"tables\.|gains\.(restore|synthesis)$|prior\.(to_context|from_mean|index_offset)$")
"""Tensors that a decoder reads itself."""


def name_of(sha256: str) -> str:
    """Return the name of the slice of the model whose weights have this SHA-256, in hexadecimal."""
    return sha256[:8] + SUFFIX


def slice_of(weights: Path) -> bytes:
    """Return the slice of a model, compressed.

    WeightsError if a file is missing, or the weights or a graph are not what the manifest says.
    """
    try:
        sha256, manifest, data = sha256_of(weights), manifest_of(weights), weights.read_bytes()
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror or error}") from error
    if sha256 != manifest["sha256"]:
        raise WeightsError(f"{weights}: {damage(sha256, manifest['sha256'])}")
    start = 8 + int.from_bytes(data[:8], "little")
    entries: dict[str, Any] = json.loads(data[8:start])
    metadata = entries.pop("__metadata__", {})
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{weights}: format is {metadata.get('format')!r}, expected {FORMAT!r}")
    architecture = Architecture.from_dict(json.loads(metadata["architecture"]))
    patterns = graphs.names(architecture)
    digests = manifest.get("graphs")
    stated = digests if isinstance(digests, dict) else {}
    opened = {name: graphs.read(weights, name, stated.get(name)) for name in GRAPHS}
    tensors, places = {}, []
    for name, entry in entries.items():
        beside = _BESIDE.match(name) is not None
        if beside or any(patterns[graph].match(current_name(name)) for graph in GRAPHS):
            first, last = (start + offset for offset in entry["data_offsets"])
            places.append((first, last))
            if beside:
                tensors[name] = {"dtype": entry["dtype"], "shape": entry["shape"], "place": [first, last]}
    pieces = _joined(places)
    header = {
        "format": SLICE_FORMAT,
        "name": weights.stem,
        "sha256": sha256,
        "bytes": len(data),
        "metadata": metadata,
        "tensors": tensors,
        "pieces": [[first, last - first] for first, last in pieces],
        "graphs": [[name, len(graph)] for name, graph in opened.items()],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [
        len(text).to_bytes(4, "little"),
        text,
        *(data[first:last] for first, last in pieces),
        *opened.values(),
    ]
    return gzip.compress(b"".join(parts), mtime=0)


def _joined(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join places that follow each other."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(places):
        if joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
