"""Ideas about the signature: the body would be accepted if the header were."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Iterator

from tests.support.served import SECRET
from tests.support.webhooks import digest
from tests.torture.checks.forgery import Scene, idea
from tests.torture.checks.length_extension import extend

Cases = Iterator[tuple[str, bytes]]


@idea("wrong secret", "The header is signed with something other than the endpoint's secret.")
def _wrong_secret(scene: Scene) -> Cases:
    body = scene.payload
    bare = SECRET.removeprefix("whsec_")
    guesses = {
        "another word": "whsec_guessed",
        "without its prefix": bare,
        "upper-case": SECRET.upper(),
        "with a newline": f"{SECRET}\n",
        "twice": SECRET * 2,
        "the prefix alone": "whsec_",
        "null": "null",
        "undefined": "undefined",
        "its SHA-256": hashlib.sha256(SECRET.encode()).hexdigest(),
        "in base64": base64.b64encode(SECRET.encode()).decode(),
    }
    for name, secret in guesses.items():
        yield name, scene.post(body, scene.signed(body, secret=secret))


@idea("empty secret", "The header is signed with an empty secret, which a misconfigured endpoint would accept.")
def _empty_secret(scene: Scene) -> Cases:
    body = scene.payload
    for name, secret in {"empty": "", "a blank": " ", "a NUL": "\0", "quotes": '""'}.items():
        yield name, scene.post(body, scene.signed(body, secret=secret))


@idea("another key of the account", "The header is signed with another secret of the same account.")
def _other_keys(scene: Scene) -> Cases:
    body = scene.payload
    for secret in ("whsec_of_another_endpoint", "sk_test_of_the_tests", "pk_test_of_the_tests", "of-the-torture-runs"):
        yield secret, scene.post(body, scene.signed(body, secret=secret))


@idea("no header", "There is no signature, or it is in the wrong place.")
def _no_header(scene: Scene) -> Cases:
    body = scene.payload
    header = scene.signed(body)
    yield "none", scene.post(body)
    yield "in the query", scene.post(body, target=f"/stripe/webhook?Stripe-Signature={header}")
    for name in ("X-Stripe-Signature", "Stripe_Signature", "StripeSignature", "Signature", "Authorization", "Cookie"):
        yield f"as {name}", scene.post(body, headers=[(name, header)])


@idea("empty header", "The header is present, but has nothing to check.")
def _empty_header(scene: Scene) -> Cases:
    for value in ("", " ", ",", ",,,,", "=", "t", "v1", "t=", "v1=", "t=,v1=", "{}", "null", "*"):
        yield repr(value), scene.post(scene.payload, value)


@idea("half a header", "Either the time or the signature is missing.")
def _half_a_header(scene: Scene) -> Cases:
    body = scene.payload
    signature = digest(body, SECRET, scene.now)
    yield "only t", scene.post(body, f"t={scene.now}")
    yield "only v1", scene.post(body, f"v1={signature}")
    yield "the bare digest", scene.post(body, signature)
    yield "t without its name", scene.post(body, f"{scene.now},v1={signature}")
    yield "v1 without its name", scene.post(body, f"t={scene.now},{signature}")
    yield "t empty", scene.post(body, f"t=,v1={signature}")


@idea("other scheme", "The digest is right, but under a scheme that must not be accepted.")
def _other_scheme(scene: Scene) -> Cases:
    body = scene.payload
    for scheme in ("v0", "v2", "v10", "V1", "v1.", "v01", "v", "1", "v1[]", "sha256", "hmac", "v1;q"):
        yield scheme, scene.post(body, scene.signed(body, scheme=scheme))


@idea("time altered", "The time in the header differs from the signed one.")
def _time_altered(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    for name, stamp in {"+1": now + 1, "-1": now - 1, "+10": now + 10, "-10": now - 10, "zero": f"0{now}"}.items():
        yield name, scene.post(body, f"t={stamp},v1={signature}")
    old = digest(body, SECRET, now - 4000)
    yield "made fresh", scene.post(body, f"t={now},v1={old}")


@idea("replayed", "A genuine request is replayed after five minutes.")
def _replayed(scene: Scene) -> Cases:
    body = scene.payload
    for age in (301, 302, 600, 3600, 86_400, 30 * 86_400, scene.now):
        yield f"{age} s old", scene.post(body, scene.signed(body, t=scene.now - age))


@idea("from the future", "The signed time is in the future.")
def _future(scene: Scene) -> Cases:
    body = scene.payload
    for ahead in (310, 600, 86_400, 365 * 86_400, 10**11):
        yield f"{ahead} s ahead", scene.post(body, scene.signed(body, t=scene.now + ahead))


@idea("time in another notation", "The time has an unusual notation, and is signed in that notation.")
def _odd_times(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    spelled = {
        "negative": f"-{now}",
        "plus": f"+{now}",
        "float": f"{now}.0",
        "exponent": f"{now / 1e9}e9",
        "hexadecimal": hex(now),
        "octal": oct(now),
        "underscores": f"{now:_}",
        "milliseconds": f"{now}000",
        "20 digits": f"{now:020}",
        "1,000 digits": "9" * 1000,
        "nan": "nan",
        "inf": "inf",
        "null": "null",
        "true": "true",
        "quoted": f'"{now}"',
        "a date": "2026-01-01T00:00:00Z",
        "two": f"{now} {now}",
    }
    for name, stamp in spelled.items():
        yield name, scene.post(body, scene.signed(body, t=stamp))


@idea("look-alike digits", "The time is written in the digits of another script.")
def _unicode_digits(scene: Scene) -> Cases:
    body = scene.payload
    zeros = {
        "Arabic-Indic": "\u0660",
        "Devanagari": "\u0966",
        "fullwidth": "\uff10",
        "mathematical bold": "\U0001d7ce",
        "subscript": "\u2080",
    }
    for name, zero in zeros.items():
        stamp = "".join(chr(ord(zero) + int(digit)) for digit in str(scene.now))
        yield name, scene.post(body, scene.signed(body, t=stamp))


@idea("several times", "The header has several times, one of them valid.")
def _several_times(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    old, fresh = now - 4000, now
    yield "old signed, fresh last", scene.post(body, f"{scene.signed(body, t=old)},t={fresh}")
    yield "old signed, fresh first", scene.post(body, f"t={fresh},{scene.signed(body, t=old)}")
    yield "two headers in one", scene.post(body, f"{scene.signed(body, t=old)},{scene.signed(scene.harmless)}")
    yield "forged and genuine of another", scene.post(body, f"t={fresh},v1={'0' * 64},{scene.signed(scene.harmless)}")


@idea("several signatures", "The header has many signatures, some of them genuine ones of other bodies.")
def _several_signatures(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    other = digest(scene.harmless, SECRET, now)
    rng = random.Random(1)
    guesses = [f"v1={rng.randbytes(32).hex()}" for _ in range(200)]
    yield "one of another body", scene.post(body, f"t={now},v1={other}")
    yield "guessed, then of another body", scene.post(body, f"t={now},{guesses[0]},v1={other}")
    yield "of another body, then v0", scene.post(body, f"t={now},v1={other},v0={digest(body, SECRET, now)}")
    yield "a hundred guesses", scene.post(body, ",".join([f"t={now}", *guesses[:100]]))  # more is too long a header
    yield "all of one", scene.post(body, ",".join([f"t={now}", *[f"v1={other}"] * 50]))


@idea("body altered", "A genuine header is sent with a slightly changed body.")
def _body_altered(scene: Scene) -> Cases:
    body = scene.payload
    decoded = json.loads(body)
    reversed_keys = {key: decoded[key] for key in reversed(decoded)}
    altered = {
        "a byte more": body + b" ",
        "a newline more": body + b"\n",
        "CR LF more": body + b"\r\n",
        "a NUL more": body + b"\0",
        "a blank before": b" " + body,
        "a byte order mark": b"\xef\xbb\xbf" + body,
        "compact": json.dumps(decoded, separators=(",", ":")).encode(),
        "indented": json.dumps(decoded, indent=2).encode(),
        "other order": json.dumps(reversed_keys).encode(),
        "twice": body * 2,
        "escaped": body.replace(b"paid", b"p\\u0061id"),
        "UTF-16": body.decode().encode("utf-16"),
        "a member more": body[:-1] + b', "x": 1}',
        "another id": body.replace(decoded["id"].encode(), b"evt_other"),
    }
    for name, sent in altered.items():
        yield name, scene.post(sent, scene.signed(body))


@idea("body exchanged", "A genuine header is sent with another event.")
def _body_exchanged(scene: Scene) -> Cases:
    body, harmless = scene.payload, scene.harmless
    unpaid = body.replace(b'"payment_status": "paid"', b'"payment_status": "unpaid"')
    yield "of a harmless event", scene.post(body, scene.signed(harmless))
    yield "of the unpaid session", scene.post(body, scene.signed(unpaid))
    yield "of an event that was seen", scene.post(body, scene.signed(json.dumps(scene.seen).encode()))
    yield "of nothing", scene.post(body, scene.signed(b""))
    yield "of its first half", scene.post(body, scene.signed(body[: len(body) // 2]))


@idea("signature cut short", "The genuine digest is truncated.")
def _cut_short(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    for length in (0, 1, 8, 32, 62, 63):
        yield f"{length} digits", scene.post(body, f"t={now},v1={signature[:length]}")
    yield "the end", scene.post(body, f"t={now},v1={signature[32:]}")


@idea("signature extended", "The genuine digest is followed by something else.")
def _extended(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    for name, more in {"a digit": "0", "itself": signature, "a semicolon": ";", "equals": "=", "a NUL": "%00"}.items():
        yield name, scene.post(body, f"t={now},v1={signature}{more}")


@idea("signature in another notation", "The digest is right, but in another notation than Stripe's.")
def _other_notation(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signature = digest(body, SECRET, now)
    raw = bytes.fromhex(signature)
    spelled = {
        "upper-case": signature.upper(),
        "mixed case": signature[:32].upper() + signature[32:],
        "0x": f"0x{signature}",
        "colons": raw.hex(":"),
        "blanks": raw.hex(" "),
        "quoted": f'"{signature}"',
        "percent-encoded": "".join(f"%{ord(char):02x}" for char in signature),
        "backwards": signature[::-1],
        "bytes backwards": raw[::-1].hex(),
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "base32": base64.b32encode(raw).decode(),
        "decimal": str(int(signature, 16)),
        "fullwidth": "".join(chr(ord(char) + 0xFEE0) for char in signature),
    }
    # A digest without letters would look the same in capitals; none of these is one.
    for name, value in spelled.items():
        if value != signature:
            yield name, scene.post(body, f"t={now},v1={value}")


@idea("values that compare oddly", "The signature is a value that a careless comparison might accept.")
def _odd_values(scene: Scene) -> Cases:
    for value in ("0" * 64, "f" * 64, "0e" + "1" * 62, "true", "True", "1", "*", "%", "null", "None", "[]", "{}", "''"):
        yield value[:8], scene.post(scene.payload, f"t={scene.now},v1={value}")


@idea("another digest", "The digest is computed from the secret and the body, but in the wrong way.")
def _other_digest(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    key, signed = SECRET.encode(), f"{now}.".encode() + body
    digests = {
        "HMAC-SHA-1": hmac.new(key, signed, hashlib.sha1).hexdigest(),
        "HMAC-SHA-512": hmac.new(key, signed, hashlib.sha512).hexdigest(),
        "HMAC-MD5": hmac.new(key, signed, hashlib.md5).hexdigest(),
        "HMAC-SHA3": hmac.new(key, signed, hashlib.sha3_256).hexdigest(),
        "key and message exchanged": hmac.new(signed, key, hashlib.sha256).hexdigest(),
        "HMAC of an HMAC": hmac.new(key, hmac.digest(key, signed, "sha256"), hashlib.sha256).hexdigest(),
        "of the body alone": hmac.new(key, body, hashlib.sha256).hexdigest(),
        "of the time alone": hmac.new(key, str(now).encode(), hashlib.sha256).hexdigest(),
        "without the dot": hmac.new(key, f"{now}".encode() + body, hashlib.sha256).hexdigest(),
        "with a colon": hmac.new(key, f"{now}:".encode() + body, hashlib.sha256).hexdigest(),
        "body before time": hmac.new(key, body + f".{now}".encode(), hashlib.sha256).hexdigest(),
    }
    for name, value in digests.items():
        yield name, scene.post(body, f"t={now},v1={value}")


@idea("a hash without a key", "The digest is a hash without a key, which anyone can compute.")
def _plain_hash(scene: Scene) -> Cases:
    body, now = scene.payload, scene.now
    signed = f"{now}.".encode() + body
    messages = {"signed bytes": signed, "body": body, "secret first": SECRET.encode() + signed, "nothing": b""}
    for name, message in messages.items():
        yield name, scene.post(body, f"t={now},v1={hashlib.sha256(message).hexdigest()}")


@idea("length extension", "A genuine digest is extended over more bytes, which plain hashes allow.")
def _length_extension(scene: Scene) -> Cases:
    known, now, more = scene.harmless, scene.now, scene.payload
    signature = digest(known, SECRET, now)
    for key_length in (0, len(SECRET), 32, 64):
        signed = key_length + len(f"{now}.") + len(known)
        extended, padding = extend(signature, signed, more)
        yield f"key of {key_length}", scene.post(known + padding + more, f"t={now},v1={extended}")


@idea("separator moved", "The signed bytes are split between time and body at another place.")
def _separator_moved(scene: Scene) -> Cases:
    now, body = scene.now, scene.payload
    signed = b'{"x": "a.' + body + b'"}'
    signature = digest(signed, SECRET, now)
    yield "at a later dot", scene.post(body + b'"}', f't={now}.{{"x": "a,v1={signature}')
    yield "no time", scene.post(f"{now}.".encode() + body, f"t=,v1={digest(body, SECRET, now)}")
    yield "time in the body", scene.post(f"{now}.".encode() + body, f"t={now},v1={digest(body, SECRET, now)}")
