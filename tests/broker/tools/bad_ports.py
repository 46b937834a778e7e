"""Ports where no RabbitMQ listens, for bad input: one line "NAME PORT" for each, then it serves until it is killed.

usage: bad_ports.py [FOLDER]: with FOLDER, which holds NAME.pem files (key and certificate), TLS servers by those names
"""
import os
import socket
import ssl
import sys
import threading

PLAIN = {
    "silent": None,  # accepts, and never says a word
    "closes": b"",  # accepts, and hangs up
    "http": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "amqp-1.0": b"AMQP\x03\x01\x00\x00",  # the header that a broker of AMQP 1.0 answers with
    "amqp-0-8": b"AMQP\x01\x01\x08\x00",
    "garbage": bytes(range(255, 0, -1)) * 40,
}
kept = []


def serve(name, server, context):
    while True:
        client, _ = server.accept()
        try:
            if context:
                client = context.wrap_socket(client, server_side=True)
            if PLAIN.get(name, b"") is None:
                kept.append(client)
                continue
            # a server reads what it does not understand before it hangs up
            if name != "closes":
                client.recv(8)
                client.sendall(PLAIN.get(name, b""))
            client.close()
        except OSError:
            client.close()


def listen(name, context=None):
    server = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(name, server.getsockname()[1], flush=True)
    threading.Thread(target=serve, args=(name, server, context)).start()


for plain in PLAIN:
    listen(plain)
for file in sorted(os.listdir(sys.argv[1])) if len(sys.argv) > 1 else []:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.path.join(sys.argv[1], file))
    listen(file.removesuffix(".pem"), tls)
print("ready", 0, flush=True)
