"""The sample application: people (and a bot) vote for emoji, and one kind of vote always fails.

`web` (HTTP/1) calls `emoji` and `voting` (gRPC), `chat` (WebSocket, and a server-first TCP feed)
and `vote_bot`, which makes the traffic. Each program reads HOST, PORT, POD_NAME and
<SERVICE>_ADDR, and knows nothing of proxies.
"""
