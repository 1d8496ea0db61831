"""Who gets a proxy, and with what: one pure function, for the webhook and for the command line."""
