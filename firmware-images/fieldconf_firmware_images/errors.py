"""What images are refused for; how flashing fails is another matter (`flash_errors`)."""


class ImageError(ValueError):
    """No image is made; the message says why, where, and what to do. Nothing was written."""
