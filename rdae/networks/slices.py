"""What a decoder needs of a model, as one file: for web pages, which fetch a model before they show a picture.

Of the 25 MB of a weights file a decoder reads 15.  A slice is a safetensors file of just these tensors, by the names of
today, compressed with gzip.  Its metadata are those of the weights file, and with them its name and SHA-256.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

from rdae.errors import WeightsError
from rdae.networks.registry import damage, manifest_of, sha256_of
from rdae.networks.weights import FORMAT, current_name

SUFFIX = ".rdae-model.gz"

_OF_A_DECODER = re.compile(r"(prior|synthesis|tables)\.|gains\.(restore|synthesis)$")

ALIGNMENT = 8
"""Of the tensors' first byte, as safetensors has it."""


def name_of(sha256: str) -> str:
    """Return the name of the slice of the model whose weights have this SHA-256, in hexadecimal."""
    return sha256[:8] + SUFFIX


def slice_of(weights: Path) -> bytes:
    """Return the slice of a model, compressed.

    WeightsError if a file is missing, or the weights are not what the manifest says.
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
    header: dict[str, Any] = {"__metadata__": {**metadata, "name": weights.stem, "sha256": sha256}}
    tensors, place = [], 0
    for name, entry in entries.items():
        if _OF_A_DECODER.match(name):
            first, last = (start + offset for offset in entry["data_offsets"])
            tensors.append(data[first:last])
            header[current_name(name)] = {**entry, "data_offsets": [place, place := place + last - first]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return gzip.compress(b"".join([len(text).to_bytes(8, "little"), text, *tensors]), mtime=0)
