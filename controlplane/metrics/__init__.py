"""What proxies measured: asked for by public-api, kept by a store."""
