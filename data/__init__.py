"""Published rate-distortion curves and one example picture; installed as rdae.data. README.md says whence."""
