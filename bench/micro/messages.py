"""The HTTP/1 heads that are measured."""

# As one service asks another through its sidecar: 105 bytes, 3 fields.
SIDECAR_REQUEST = (
    b"GET /api/list HTTP/1.1\r\n"
    b"Host: web-svc.emojivoto:80\r\n"
    b"User-Agent: curl/8.14.1\r\n"
    b"Accept: application/json\r\n"
    b"\r\n"
)

# As a browser asks an ingress: 700 bytes, 13 fields.
BROWSER_REQUEST = (
    b"GET /shop/articles?category=books&sort=price&page=3 HTTP/1.1\r\n"
    b"Host: www.shop.example\r\n"
    b"Connection: keep-alive\r\n"
    b"Cache-Control: max-age=0\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    b" Chrome/126.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Referer: https://www.shop.example/shop/articles?category=books&sort=price&page=2\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Cookie: session=8c1f0a7be2d94f63; theme=dark; consent=yes; basket=1c7e5a9d03b48\r\n"
    b"\r\n"
)

# 114 bytes, 4 fields.
RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/html\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Server: go\r\n"
    b"Content-Length: 128\r\n"
    b"\r\n"
)

BODY = b"x" * 128
