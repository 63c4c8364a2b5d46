"""Ideas about the transport: the request is malformed, so that the check is bypassed or sees something else."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator

from tests.support.served import SECRET
from tests.support.webhooks import digest
from tests.torture.checks.forgery import TURNED_AWAY, WEBHOOK, Scene, idea

Cases = Iterator[tuple[str, bytes]]


def _forged(scene: Scene) -> str:
    """Return a header that looks right but is not: signed just now with a guessed secret."""
    return scene.signed(scene.payload, secret="whsec_guessed")


@idea("header twice", "The header appears twice, and one of the two is a genuine one for another body.")
def _header_twice(scene: Scene) -> Cases:
    body = scene.payload
    forged, genuine = _forged(scene), scene.signed(scene.harmless)
    yield "forged first", scene.post(body, forged, genuine)
    yield "genuine first", scene.post(body, genuine, forged)
    yield "the same", scene.post(body, forged, forged)
    yield "time and signature apart", scene.post(body, f"t={scene.now}", f"v1={digest(body, SECRET, scene.now)}")
    yield "folded", scene.post(body, f"t={scene.now},\r\n v1={'0' * 64}")


@idea("huge header", "The header is so long that it might overflow a buffer.", TURNED_AWAY)
def _huge_header(scene: Scene) -> Cases:
    body = scene.payload
    for kib in (4, 8, 16, 31, 64, 256):
        filler = ",".join([f"v1={'0' * 64}"] * (kib * 15))
        yield f"{kib} KiB", scene.post(body, f"t={scene.now},{filler}")
    yield "a long name", scene.post(body, f"t={scene.now},{'v' * 20_000}=1")
    yield "10,000 fields", scene.post(body, ",".join([f"t={scene.now}", *["a=b"] * 5_000]))


@idea("header that is not ASCII", "The header has bytes that can't be part of a digest or a number.")
def _not_ascii(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    yield "UTF-8 in v1", scene.post(body, f"t={now},v1=\u00e9{signature}")
    yield "Latin-1 in v1", scene.post(body, f"t={now},v1=".encode() + b"\xe9" * 64)
    yield "bytes that are no UTF-8", scene.post(body, f"t={now},v1=".encode() + b"\xff\xfe" * 32)
    yield "an emoji", scene.post(body, "t=\U0001f4b0,v1=\U0001f4b0")
    yield "a wide comma", scene.post(body, f"t={now}\uff0cv1={signature}")
    yield "an invisible blank", scene.post(body, f"t={now},v1=\u200b{signature}")
    yield "a soft hyphen", scene.post(body, f"t={now},v1={signature[:32]}\u00ad{signature[32:]}")


@idea("header in another syntax", "The header says the right things in a notation that is not Stripe's.")
def _other_syntax(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    spelled = {
        "ampersand": f"t={now}&v1={signature}",
        "semicolon": f"t={now};v1={signature}",
        "colons": f"t:{now},v1:{signature}",
        "JSON": json.dumps({"t": now, "v1": signature}),
        "percent-encoded": f"t%3D{now}%2Cv1%3D{signature}",
        "quoted": f'"t={now},v1={signature}"',
        "HTML": f"t={now}&#44;v1={signature}",
        "base64": base64.b64encode(f"t={now},v1={signature}".encode()).decode(),
        "upper-case names": f"T={now},V1={signature}",
        "spaces around equals": f"t = {now},v1 = {signature}",
        "plus for space": f"t={now},+v1={signature}",
    }
    for name, value in spelled.items():
        yield name, scene.post(body, value)


@idea("compressed body", "The body is compressed, and the header that of the plain one.", TURNED_AWAY)
def _compressed(scene: Scene) -> Cases:
    body = scene.payload
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), "br": body, "identity": body}
    for encoding, sent in packed.items():
        yield encoding, scene.post(sent, _forged(scene), headers=[("Content-Encoding", encoding)])
        if sent != body:
            yield (
                f"{encoding}, plain signed",
                scene.post(sent, scene.signed(body), headers=[("Content-Encoding", encoding)]),
            )


@idea("body in chunks", "The body is chunked, with extensions and trailers.", TURNED_AWAY)
def _chunked(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    chunked = [("Transfer-Encoding", "chunked")]
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    single = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    # The server passes trailers on as headers, so only a forged signature proves anything there.
    header = forged
    trailer = b"%x\r\n%s\r\n0\r\nStripe-Signature: %s\r\n\r\n" % (len(body), body, header.encode())
    extension = b"%x;Stripe-Signature=%s\r\n%s\r\n0\r\n\r\n" % (len(body), header.encode(), body)
    yield "one", scene.post(whole, forged, headers=chunked, length=False)
    yield "one for each byte", scene.post(single, forged, headers=chunked, length=False)
    yield "signature in the trailer", scene.post(trailer, headers=chunked, length=False)
    yield "signature in an extension", scene.post(extension, headers=chunked, length=False)
    yield "negative size", scene.post(b"-1\r\n" + body + b"\r\n0\r\n\r\n", forged, headers=chunked, length=False)
    yield "huge size", scene.post(b"f" * 20 + b"\r\n" + body, forged, headers=chunked, length=False)
    yield "cut off", scene.post(whole[:-200], forged, headers=chunked, length=False)


@idea("smuggled request", "The request has two lengths, which might hide a second request in the first.", TURNED_AWAY)
def _smuggled(scene: Scene) -> Cases:
    hidden = scene.post(scene.payload, _forged(scene))
    ended = b"0\r\n\r\n" + hidden
    for encoding in ("chunked", "Chunked", "x, chunked", "chunked, identity", "\tchunked", "chunked\x0b", "identity"):
        headers = [("Transfer-Encoding", encoding), ("Content-Length", str(len(ended)))]
        yield f"both, {encoding!r}", scene.post(ended, _forged(scene), headers=headers, length=False)
    twice = [("Content-Length", "0"), ("Content-Length", str(len(hidden)))]
    yield "two lengths", scene.post(hidden, _forged(scene), headers=twice, length=False)
    yield "in one header", scene.post(hidden, headers=[("Content-Length", f"0, {len(hidden)}")], length=False)
    for length in ("-1", "+5", "0x5", "5 5", "1e3", "99999999999999999999", "", "\u0665"):
        yield (
            f"length {length!r}",
            scene.post(hidden, _forged(scene), headers=[("Content-Length", length)], length=False),
        )


@idea("behind a genuine request", "A forged request follows a genuine one on the same connection.", TURNED_AWAY | {200})
def _pipelined(scene: Scene) -> Cases:
    first = scene.genuine(scene.harmless).replace(b"Connection: close\r\n", b"")
    body, harmless = scene.payload, scene.harmless
    yield "forged", first + scene.post(body, _forged(scene))
    yield "without a header", first + scene.post(body)
    yield "with the first one's header", first + scene.post(body, scene.signed(harmless))
    shorter = scene.post(harmless + body, scene.signed(harmless), headers=[("Content-Length", str(len(harmless)))])
    yield "as the rest of its body", shorter.replace(b"Content-Length: %d\r\n" % len(harmless + body), b"")


@idea("other version", "The request uses another HTTP version, or is not HTTP.", TURNED_AWAY)
def _other_version(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/3", "HTTP/9.9", "http/1.1", "ICAP/1.0", ""):
        yield version or "none", scene.post(body, forged, version=version)
    yield "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + body
    yield "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + body
    yield "the body alone", body
    yield (
        "upgrade to h2c",
        scene.post(body, forged, headers=[("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]),
    )


@idea("other method", "A genuine event is sent with the wrong method.", TURNED_AWAY)
def _other_method(scene: Scene) -> Cases:
    body = scene.payload
    for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "POSTS", "PROPFIND"):
        yield method, scene.post(body, scene.signed(body), method=method)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        yield name, scene.post(body, scene.signed(body), method="GET", headers=[(name, "POST")])


@idea("other path", "A genuine event is sent to a path similar to the webhook's.", TURNED_AWAY)
def _other_path(scene: Scene) -> Cases:
    body = scene.payload
    paths = ("//stripe/webhook", "/stripe//webhook", "/stripe/webhook/", "/Stripe/Webhook", "/stripe/webhook;a=b")
    more = (
        "/stripe/./webhook",
        "/x/../stripe/webhook",
        "/stripe/webhook%00",
        "/stripe/webhook%20",
        "/stripe/webhook/..",
    )
    rest = ("/api/stripe/webhook", "/stripe/webhook.json", "/webhook", "/stripe", "/", "*")
    for path in (*paths, *more, *rest):
        yield path, scene.post(body, scene.signed(body), target=path)
    # These are the webhook's own path in another notation.
    for path in (
        "/stripe%2fwebhook",
        "/%73tripe/webhook",
        "http://stripe.com/stripe/webhook",
        "/stripe/webhook?",
        "/stripe/webhook#x",
    ):
        yield path, scene.post(body, _forged(scene), target=path)


@idea("told who it is from", "The headers claim that it comes from Stripe or from localhost.")
def _told_from(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    claims = {
        "X-Forwarded-For": "54.187.174.169",
        "X-Real-IP": "127.0.0.1",
        "Forwarded": "for=127.0.0.1;host=stripe.com;proto=https",
        "X-Forwarded-Host": "stripe.com",
        "X-Original-URL": WEBHOOK,
        "X-Rewrite-URL": "/api/admin",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Origin": "https://api.stripe.com",
        "Referer": "https://dashboard.stripe.com/",
        "Stripe-Account": "acct_1",
    }
    for name, value in claims.items():
        yield name, scene.post(body, forged, headers=[(name, value)])
    for host in ("stripe.com", "localhost", "", "a b", "evil:99999", "[::1]"):
        yield f"Host {host!r}", scene.post(body, forged, host=host)


@idea("asked to look away", "The request asks to skip the check.")
def _asked(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    for query in ("skip_signature=true", "test=1", "debug=1", "verify=false", "livemode=false", "secret="):
        yield f"?{query}", scene.post(body, forged, target=f"{WEBHOOK}?{query}")
    yield "a cookie", scene.post(body, forged, headers=[("Cookie", "admin=1; verified=true")])
    yield "the admin's token", scene.post(body, forged, headers=[("Authorization", "Bearer of-the-torture-runs")])
    yield "a trusted certificate", scene.post(body, forged, headers=[("X-SSL-Client-Verify", "SUCCESS")])


@idea("WebSocket", "The webhook's path is opened as a WebSocket.", TURNED_AWAY | {403})
def _websocket(scene: Scene) -> Cases:
    upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
    key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    body, forged = scene.payload, _forged(scene)
    yield "GET", scene.post(b"", scene.signed(b""), headers=[*upgrade, key], method="GET")
    yield "POST", scene.post(body, forged, headers=[*upgrade, key])
    yield "without a key", scene.post(body, forged, headers=upgrade)


@idea("other media type", "The body has another media type than JSON.")
def _other_media_type(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    form = b"payload=" + body
    boundary = b'--x\r\nContent-Disposition: form-data; name="payload"\r\n\r\n' + body + b"\r\n--x--\r\n"
    wrapped = {
        "text/plain": body,
        "application/x-www-form-urlencoded": form,
        "multipart/form-data; boundary=x": boundary,
        "application/xml": b"<event>" + body + b"</event>",
        "application/json; charset=utf-16": body,
        "": body,
    }
    for media_type, sent in wrapped.items():
        yield media_type or "none", scene.post(sent, forged, content_type=media_type or None)


@idea("waited for", "The client expects 100 Continue before it sends the body.", TURNED_AWAY | {100, 417})
def _expecting(scene: Scene) -> Cases:
    body, forged = scene.payload, _forged(scene)
    for expectation in ("100-continue", "100-Continue", "200-ok"):
        yield expectation, scene.post(body, forged, headers=[("Expect", expectation)])


@idea("too large", "The body is larger than any event, with or without a Content-Length.", TURNED_AWAY)
def _too_large(scene: Scene) -> Cases:
    body = scene.payload[:-1] + b', "filler": "' + b"x" * 600_000 + b'"}'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:300_000], body[300_000:]))
    yield "genuine, 600 KB", scene.post(body, scene.signed(body))
    yield (
        "genuine, in chunks",
        scene.post(chunks + b"0\r\n\r\n", scene.signed(body), headers=[("Transfer-Encoding", "chunked")], length=False),
    )
    announced = [("Content-Length", str(200 * 1024 * 1024))]
    yield "announced, never sent", scene.post(b"", _forged(scene), headers=announced, length=False)
    yield "forged, 5 MB", scene.post(b" " * 5_000_000 + scene.payload, _forged(scene))
