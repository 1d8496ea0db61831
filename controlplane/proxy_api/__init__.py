"""The one gRPC address that proxies know: `service` answers, `limits` bounds one proxy's streams, `server`
listens.
"""
