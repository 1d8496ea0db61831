"""What can go wrong in a build."""


class ImageError(Exception):
    """Why there is no image, in one line that says what to do."""
