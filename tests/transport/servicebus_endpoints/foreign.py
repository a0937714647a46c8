"""A program that knows nothing of jasper, by Microsoft's client for Python.

usage: foreign.py send|send-legacy|receive CONNECTION_STRING QUEUE
"""

import json
import sys

from azure.servicebus import ServiceBusClient, ServiceBusMessage

WAIT = 30


def send(client, queue):
    with client.get_queue_sender(queue) as sender:
        for _ in range(2):  # The second one is known by its id.
            sender.send_messages(
                ServiceBusMessage(
                    json.dumps({"text": "from Python"}),
                    subject="asb.noted",
                    message_id="note 7",
                    content_type="application/json",
                    application_properties={"colour": "blau", "size": 7},
                )
            )


def send_legacy(client, queue):
    with client.get_queue_sender(queue) as sender:
        messages = [("7;teapot", "a"), ("7;teapot", "a"), ("8;kettle", "b"), ("nine", "c")]
        for text, number in messages:
            sender.send_messages(ServiceBusMessage(text, message_id=number))


def receive(client, queue):
    with client.get_queue_receiver(queue) as receiver:
        [message] = receiver.receive_messages(1, max_wait_time=WAIT)
        properties = message.application_properties or {}
        colour = properties.get(b"colour", b"no colour").decode()
        print(message.subject, message.content_type, str(message), colour)
        receiver.complete_message(message)


STEPS = {"send": send, "send-legacy": send_legacy, "receive": receive}

with ServiceBusClient.from_connection_string(sys.argv[2]) as connected:
    STEPS[sys.argv[1]](connected, sys.argv[3])
