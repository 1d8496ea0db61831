"""Generated from emojivoto.proto; do not edit."""
