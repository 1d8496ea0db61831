// Of a certificate in PEM: from when until when it is valid. Only as much of DER is read as leads there.

interface Value {
  tag: number;
  start: number;
  end: number;
}

function read(bytes: Uint8Array, at: number): Value {
  let length = bytes[at + 1] ?? 0;
  let start = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + (bytes[start + i] ?? 0);
    start += count;
  }
  return { tag: bytes[at] ?? 0, start, end: start + length };
}

function inside(bytes: Uint8Array, value: Value): Value[] {
  const found: Value[] = [];
  for (let at = value.start; at < value.end; ) {
    const next = read(bytes, at);
    if (next.end <= at) break;
    found.push(next);
    at = next.end;
  }
  return found;
}

function time(bytes: Uint8Array, value: Value): number {
  const text = String.fromCharCode(...bytes.subarray(value.start, value.end));
  const short = value.tag === 0x17;
  const digits = short ? `${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}` : text;
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(digits) ?? [];
  return Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s)) / 1000;
}

export interface Validity {
  from: number;
  until: number;
}

export function validity(pem: string): Validity | null {
  const body = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END/.exec(pem)?.[1];
  if (!body) return null;
  try {
    const bytes = Uint8Array.from(atob(body.replace(/\s/g, "")), (c) => c.charCodeAt(0));
    const certificate = inside(bytes, read(bytes, 0))[0];
    if (!certificate) return null;
    const fields = inside(bytes, certificate);
    // version [0], serial, algorithm, issuer, validity
    const found = fields[fields[0]?.tag === 0xa0 ? 4 : 3];
    const [from, until] = found ? inside(bytes, found) : [];
    return from && until ? { from: time(bytes, from), until: time(bytes, until) } : null;
  } catch {
    return null;
  }
}
