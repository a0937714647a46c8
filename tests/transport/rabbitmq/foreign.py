"""A program that knows nothing of jasper: foreign.py send|receive URL QUEUE"""

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


what, url, queue = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
{"send": send, "receive": receive}[what](connection.channel(), queue)
connection.close()
