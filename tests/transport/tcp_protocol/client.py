"""Both sides of the protocol, written from jasper/src/docs/wire_protocol.md alone.

  client.py send ADDRESS         sends notes, one of them twice, and asks for an answer
  client.py listen               prints its address, takes notes and answers requests
The key `python` has the secret in JASPER_SECRET, in hexadecimal.
"""

import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import time
import uuid

HELLO, WELCOME, PROOF, READY, REJECTED, BATCH, RECEIPTS, REQUEST, ANSWER, PING, PONG, BYE = range(1, 13)
SECRET = bytes.fromhex(os.environ["JASPER_SECRET"])
FRAME = 4 << 20


class Connection:
    def __init__(self, stream):
        stream.settimeout(20)
        self.stream = stream

    def write(self, kind, body=b""):
        self.stream.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.stream.recv(length - len(data))
            if not more:
                raise EOFError("the other side has ended the connection")
            data += more
        return data

    def read(self):
        while True:
            (length,) = struct.unpack(">I", self.exactly(4))
            assert 0 < length <= FRAME, length
            frame = self.exactly(length)
            if frame[0] == PING:
                self.write(PONG)
            elif frame[0] != PONG:
                return frame[0], frame[1:]

    def expect(self, wanted):
        kind, body = self.read()
        assert kind == wanted, (kind, body)
        return body


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def take_text(data):
    (length,) = struct.unpack(">H", data[:2])
    return data[2 : 2 + length].decode(), data[2 + length :]


def proof(role, hello, welcome):
    parts = [b"jasper tcp proof", role, hello, welcome, b""]
    said = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hmac.new(SECRET, said, hashlib.sha256).digest()


def connect(address):
    host, port = address.split("://")[1].rsplit(":", 1)
    connection = Connection(socket.create_connection((host, int(port)), 20))
    hello = b"jasper\r\n" + bytes([1, 1]) + os.urandom(32) + struct.pack(">I", FRAME) + text("python")
    connection.write(HELLO, hello)
    welcome = connection.expect(WELCOME)
    connection.write(PROOF, proof(b"client", hello, welcome))
    assert hmac.compare_digest(connection.expect(READY), proof(b"server", hello, welcome))
    return connection


def accept(listener):
    connection = Connection(listener.accept()[0])
    hello = connection.expect(HELLO)
    assert hello[:8] == b"jasper\r\n" and hello[8] <= 1 <= hello[9]
    welcome = bytes([1]) + os.urandom(32) + struct.pack(">IIII", FRAME, 8 << 20, 64, 256)
    connection.write(WELCOME, welcome)
    assert hmac.compare_digest(connection.expect(PROOF), proof(b"client", hello, welcome))
    connection.write(READY, proof(b"server", hello, welcome))
    return connection


def field(tag, value):
    return struct.pack(">BI", tag, len(value)) + value


def envelope(kind, payload):
    return (
        b"\x01"
        + field(1, uuid.uuid4().bytes)
        + field(2, kind.encode())
        + field(3, b"application/json")
        + field(6, b"local://notes")
        + field(7, b"python")
        + field(17, struct.pack(">q", int(time.time() * 1_000_000)))
        + field(4, json.dumps(payload).encode())
    )


def read_envelope(data):
    assert data[0] == 1
    fields, data = {}, data[1:]
    while data:
        tag, length = struct.unpack(">BI", data[:5])
        fields[tag], data = data[5 : 5 + length], data[5 + length :]
    return fields[2].decode(), json.loads(fields[4])


def send_batch(connection, number, envelopes):
    body = struct.pack(">QBI", number, 0, len(envelopes))
    connection.write(BATCH, body + b"".join(struct.pack(">I", len(e)) + e for e in envelopes))
    receipts = connection.expect(RECEIPTS)
    assert receipts[:12] == struct.pack(">QI", number, len(envelopes)), receipts
    assert receipts[12:] == bytes(len(envelopes)), receipts


def send(address):
    connection = connect(address)
    first, second = (envelope("python.note@1", {"text": t}) for t in ("one", "two"))
    send_batch(connection, 1, [first, second])
    send_batch(connection, 2, [first])
    request = envelope("python.double@1", {"number": 21})
    connection.write(REQUEST, struct.pack(">QI", 1, 20_000) + request)
    answer = connection.expect(ANSWER)
    assert answer[:9] == struct.pack(">QB", 1, 0), answer
    kind, payload = take_text(answer[9:])
    print("answer", kind, json.loads(payload))


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"durable://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    connection = accept(listener)
    while True:
        try:
            kind, body = connection.read()
        except EOFError:
            return
        if kind == BATCH:
            number, _guarantee, count = struct.unpack(">QBI", body[:13])
            body = body[13:]
            for _ in range(count):
                (length,) = struct.unpack(">I", body[:4])
                print("note", *read_envelope(body[4 : 4 + length]), flush=True)
                body = body[4 + length :]
            connection.write(RECEIPTS, struct.pack(">QI", number, count) + bytes(count))
        elif kind == REQUEST:
            number, _timeout = struct.unpack(">QI", body[:12])
            doubled = json.dumps(2 * read_envelope(body[12:])[1]["number"]).encode()
            connection.write(ANSWER, struct.pack(">QB", number, 0) + text("application/json") + doubled)


if sys.argv[1] == "send":
    send(sys.argv[2])
else:
    listen()
