"""A program that knows nothing of jasper: foreign.py send|receive[-legacy] URL QUEUE"""

import json
import sys

import pika


def send(channel, queue):
    """Two messages with a type, in two ways to say it, and one without."""
    channel.confirm_delivery()
    for kind, text in [("rabbit.note@1", "from pika"), ("rabbit.note", "without a version")]:
        properties = pika.BasicProperties(
            type=kind, content_type="application/json", headers={"colour": "grün", "number": 7}
        )
        body = json.dumps({"text": text})
        channel.basic_publish("", queue, body, properties, mandatory=True)


def receive(channel, queue):
    """Prints what a message of jasper says to one who has never heard of it."""
    for method, properties, body in channel.consume(queue, inactivity_timeout=30):
        if method is None:
            sys.exit("nothing has come")
        channel.basic_ack(method.delivery_tag)
        print(properties.type, properties.content_type, json.loads(body)["text"])
        print(properties.headers["colour"], properties.app_id, properties.delivery_mode)
        break


def send_legacy(channel, queue):
    """Notes that are nothing like a message of jasper, the first of them twice."""
    channel.confirm_delivery()
    first = pika.BasicProperties(message_id="note 7", headers={"shop": "Sèvres"})
    second = pika.BasicProperties(message_id="note 8")
    for body, properties in [("7;teapot", first), ("7;teapot", first), ("8;kettle", second)]:
        channel.basic_publish("", queue, body, properties, mandatory=True)


def receive_legacy(channel, queue):
    """Prints a note that is nothing like a message of jasper."""
    for method, properties, body in channel.consume(queue, inactivity_timeout=30):
        if method is None:
            sys.exit("nothing has come")
        channel.basic_ack(method.delivery_tag)
        print(body.decode(), properties.content_type, properties.headers["shop"])
        break


what, url, queue = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
programs = [send, receive, send_legacy, receive_legacy]
{program.__name__.replace("_", "-"): program for program in programs}[what](
    connection.channel(), queue
)
connection.close()
