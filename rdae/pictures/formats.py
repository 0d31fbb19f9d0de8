"""Which formats of pictures there are, by suffix and by content; importing this loads neither Pillow nor numpy."""

# What is looked for in folders and archives; a file named outright may have any name.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".ppm", ".tif", ".tiff"})
# What is tried on a file's content, most usual first. Not all that Pillow has: EPS would start another program,
# others read no pixels by themselves, and each more is one more decoder to attack.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "MPO", "JPEG2000"),
    *("TGA", "QOI", "ICO", "ICNS", "PCX", "SGI", "PSD"),
)
