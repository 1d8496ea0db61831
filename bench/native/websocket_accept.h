/* The key with which a WebSocket server proves that it understood the handshake (RFC 6455, 4.2.2): base64 of SHA-1. */
#ifndef WEBSOCKET_ACCEPT_H
#define WEBSOCKET_ACCEPT_H

#include <stdint.h>
#include <string.h>

#define WEBSOCKET_KEY_SIZE 24    /* base64 of 16 bytes */
#define WEBSOCKET_ACCEPT_SIZE 28 /* base64 of 20 bytes */

static inline uint32_t rotated(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static inline void sha1_block(uint32_t hash[5], const uint8_t block[64])
{
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

    uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 80; i++) {
        uint32_t mixed = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t next = rotated(a, 5) + mixed + e + constants[i / 20] + w[i];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

/* Of a text of up to 119 bytes: two blocks. */
static inline void sha1(const char *text, size_t size, uint8_t digest[20])
{
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    size_t end = size < 56 ? 64 : 128;
    memcpy(blocks, text, size);
    blocks[size] = 0x80;
    blocks[end - 2] = size * 8 >> 8;
    blocks[end - 1] = size * 8;
    for (size_t at = 0; at < end; at += 64)
        sha1_block(hash, blocks + at);
    for (int i = 0; i < 20; i++)
        digest[i] = hash[i / 4] >> (24 - 8 * (i % 4));
}

/* Of `key`, WEBSOCKET_KEY_SIZE bytes; a text with a final zero. */
static inline void websocket_accept(const char *key, char accept[WEBSOCKET_ACCEPT_SIZE + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char appended[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[WEBSOCKET_KEY_SIZE + sizeof appended];
    uint8_t digest[21] = {0}; /* a multiple of three */
    memcpy(text, key, WEBSOCKET_KEY_SIZE);
    memcpy(text + WEBSOCKET_KEY_SIZE, appended, sizeof appended);
    sha1(text, sizeof text - 1, digest);
    for (int i = 0; i < 7; i++) {
        uint32_t three = digest[3 * i] << 16 | digest[3 * i + 1] << 8 | digest[3 * i + 2];
        for (int j = 0; j < 4; j++)
            accept[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
    }
    accept[WEBSOCKET_ACCEPT_SIZE - 1] = '='; /* the 21st byte is padding */
    accept[WEBSOCKET_ACCEPT_SIZE] = 0;
}

#endif
