"""How long encoding and decoding take, beside other codecs on the same pictures in the same process."""
