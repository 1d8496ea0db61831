"""Those who are asked about each request, where policy says so; other proxies never load this."""
