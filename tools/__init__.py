"""What checks, builds and tests the project, beside the front door `./mesh`. Nothing here is installed."""
