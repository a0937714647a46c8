"""One step of what an application does with Service Bus, by Microsoft's client for Python.

usage: judge.py STEP CONNECTION_STRING ENTITY [SUBSCRIPTION...]

Prints what it has seen, one line for each thing. Where a step waits for the broker to do something,
it prints "ready" and reads a line.
"""

import sys
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
    TransportType,
)
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import CorrelationRuleFilter, ServiceBusAdministrationClient

WAIT = 10


def send(client, queue, *texts, **settings):
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(text, **settings) for text in texts])


def take(receiver, count):
    messages = []
    while len(messages) < count:
        more = receiver.receive_messages(count - len(messages), max_wait_time=WAIT)
        if not more:
            raise SystemExit(f"{len(messages)} of {count} messages came")
        messages += more
    return messages


def failures(message):
    # A zero is left out on the wire, and this client has no default for it.
    return message.delivery_count or 0


def wait_for_broker():
    print("ready", flush=True)
    sys.stdin.readline()


def batch(client, queue):
    with client.get_queue_sender(queue) as sender:
        messages = sender.create_message_batch()
        for text in ("one", "two", "three"):
            properties = {"colour": "blue", "size": 7}
            messages.add_message(
                ServiceBusMessage(text, message_id=f"id {text}", application_properties=properties)
            )
        sender.send_messages(messages)
    with client.get_queue_receiver(queue) as receiver:
        for message in take(receiver, 3):
            properties = message.application_properties
            print(message, message.message_id, properties[b"colour"].decode(), properties[b"size"])
            receiver.complete_message(message)


def abandon(client, queue):
    send(client, queue, "again")
    with client.get_queue_receiver(queue) as receiver:
        for settle in (receiver.abandon_message, receiver.complete_message):
            [message] = take(receiver, 1)
            print(message, failures(message))
            settle(message)


def poison(client, queue):
    send(client, queue, "poison")
    with client.get_queue_receiver(queue) as receiver:
        for _ in range(2):
            [message] = take(receiver, 1)
            receiver.abandon_message(message)
    read_dead_letter(client, queue)


def dead_letter(client, queue):
    send(client, queue, "broken")
    with client.get_queue_receiver(queue) as receiver:
        [message] = take(receiver, 1)
        receiver.dead_letter_message(message, reason="Unreadable", error_description="no colon")
    read_dead_letter(client, queue)


def read_dead_letter(client, queue):
    sub_queue = ServiceBusSubQueue.DEAD_LETTER
    with client.get_queue_receiver(queue, sub_queue=sub_queue) as receiver:
        [message] = take(receiver, 1)
        print(message, "|", message.dead_letter_reason, "|", message.dead_letter_error_description)
        receiver.complete_message(message)


def renew_lock(client, queue):
    send(client, queue, "long")
    with client.get_queue_receiver(queue) as receiver:
        [message] = take(receiver, 1)
        before = message.locked_until_utc
        receiver.renew_message_lock(message)
        print("later" if message.locked_until_utc > before else "not later")
        receiver.complete_message(message)


def lost_lock(client, queue):
    send(client, queue, "late")
    with client.get_queue_receiver(queue) as receiver:
        [message] = take(receiver, 1)
        wait_for_broker()
        try:
            receiver.complete_message(message)
            print("completed")
        except ServiceBusError as error:
            print(type(error).__name__)
        [message] = take(receiver, 1)
        print(message, failures(message))
        receiver.complete_message(message)


def schedule(client, queue):
    soon = datetime.now(timezone.utc) + timedelta(seconds=1)
    with client.get_queue_sender(queue) as sender:
        [kept] = sender.schedule_messages([ServiceBusMessage("kept")], soon)
        cancelled = sender.schedule_messages(
            [ServiceBusMessage("cancelled 1"), ServiceBusMessage("cancelled 2")],
            soon + timedelta(hours=1),
        )
        print(len({kept, *cancelled}), "numbers")
        sender.cancel_scheduled_messages(cancelled)
    with client.get_queue_receiver(queue) as receiver:
        [message] = take(receiver, 1)
        print(message, "in time" if datetime.now(timezone.utc) >= soon else "too early")
        receiver.complete_message(message)


def defer(client, queue):
    send(client, queue, "later", "now")
    with client.get_queue_receiver(queue) as receiver:
        first, second = take(receiver, 2)
        receiver.defer_message(first)
        receiver.complete_message(second)
        [message] = receiver.receive_deferred_messages(first.sequence_number)
        print(message)
        receiver.complete_message(message)


def peek(client, queue):
    send(client, queue, "one", "two")
    with client.get_queue_receiver(queue) as receiver:
        for message in receiver.peek_messages(5):
            print(message, message.sequence_number)
        print(len(receiver.peek_messages(5, sequence_number=3)), "more")


def receive_and_delete(client, queue):
    send(client, queue, "gone")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver(queue, receive_mode=mode) as receiver:
        [message] = take(receiver, 1)
        print(message)


def duplicates(client, queue):
    send(client, queue, "first", "repeat", message_id="order 7")
    send(client, queue, "repeat", message_id="order 7")
    send(client, queue, "other", message_id="order 8")
    with client.get_queue_receiver(queue) as receiver:
        for message in take(receiver, 2):
            print(message)
            receiver.complete_message(message)


def sessions(client, queue):
    for text in ("1", "2", "3"):
        for session in ("red", "green"):
            send(client, queue, f"{session} {text}", session_id=session)
    with (
        client.get_queue_receiver(queue, session_id="red") as red,
        client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION) as other,
    ):
        print("holds", red.session.session_id, other.session.session_id)
        for receiver in (other, red):
            for message in take(receiver, 3):
                print(message)
                receiver.complete_message(message)
        print("state", red.session.get_state())
        red.session.set_state("half way")
        print("state", red.session.get_state().decode())
        before = red.session.locked_until_utc
        red.session.renew_lock()
        print("later" if red.session.locked_until_utc > before else "not later")


def held_session(client, queue):
    send(client, queue, "kept", session_id="red")
    with client.get_queue_receiver(queue, session_id="red") as holder:
        take(holder, 1)
        try:
            with client.get_queue_receiver(queue, session_id="red"):
                print("accepted")
        except ServiceBusError as error:
            print(type(error).__name__)
    with client.get_queue_receiver(queue, session_id="red") as next_holder:
        [message] = take(next_holder, 1)
        print(message, failures(message))
        next_holder.complete_message(message)


def list_sessions(client, queue):
    for text, session in (("1", "red"), ("2", "green"), ("3", "red")):
        send(client, queue, text, session_id=session)
    print("with messages", *client.list_queue_sessions(queue))
    with client.get_queue_receiver(queue, session_id="red") as red:
        red.session.set_state("half way")
        for message in take(red, 2):
            red.complete_message(message)
    print("with messages or a state", *client.list_queue_sessions(queue))
    now = datetime.now(timezone.utc)
    changed = client.list_queue_sessions(queue, state_updated_after=now - timedelta(hours=1))
    print("changed", *changed)
    later = client.list_queue_sessions(queue, state_updated_after=now + timedelta(hours=1))
    print(len(list(later)), "later")
    with client.get_queue_sender(queue) as sender:
        for number in range(120):
            sender.send_messages(ServiceBusMessage("one of many", session_id=f"{number:03}"))
    print(len(set(client.list_queue_sessions(queue))), "sessions")


def web_socket(_client, queue, connection_string, root):
    client = ServiceBusClient.from_connection_string(
        connection_string,
        retry_total=0,
        transport_type=TransportType.AmqpOverWebsocket,
        # This client leaves the port of a connection string out, and takes the one that is here.
        custom_endpoint_address=connection_string.split("Endpoint=", 1)[1].split(";", 1)[0],
        connection_verify=root,
    )
    with client:
        batch(client, queue)


def no_session(client, queue):
    try:
        with client.get_queue_receiver(
            queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1
        ):
            print("accepted")
    except ServiceBusError as error:
        print(type(error).__name__)


def topic(client, name, *subscriptions):
    with client.get_topic_sender(name) as sender:
        sender.send_messages(ServiceBusMessage("for all"))
        sender.send_messages(ServiceBusMessage("blue", application_properties={"colour": "blue"}))
    for subscription, count in zip(subscriptions, (2, 1)):
        with client.get_subscription_receiver(name, subscription) as receiver:
            for message in take(receiver, count):
                print(subscription, message)
                receiver.complete_message(message)


def refused(client, queue):
    try:
        send(client, queue, "never")
        print("sent")
    except ServiceBusError as error:
        print(type(error).__name__)


def too_large(client, queue):
    try:
        send(client, queue, "x" * 300_000)
        print("sent")
    except ServiceBusError as error:
        print(type(error).__name__)


def administer(_client, connection_string):
    with ServiceBusAdministrationClient.from_connection_string(connection_string) as client:
        administer_queues(client)
        administer_topics(client)


def administer_queues(client):
    client.create_queue(
        "orders",
        lock_duration=timedelta(seconds=30),
        max_delivery_count=5,
        requires_session=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window=timedelta(minutes=2),
        dead_lettering_on_message_expiration=True,
    )
    show_queue(client.get_queue("orders"))
    try:
        client.create_queue("orders")
        print("created")
    except ResourceExistsError:
        print("exists already")
    queue = client.get_queue("orders")
    queue.max_delivery_count = 7
    client.update_queue(queue)
    show_queue(client.get_queue("orders"))
    for number in range(3):
        client.create_queue(f"queue-{number}")
    names = [queue.name for queue in client.list_queues(max_page_size=2)]
    print(len(names), "queues", *names)
    print(client.get_queue_runtime_properties("orders").active_message_count, "messages")
    for name in names:
        client.delete_queue(name)
    try:
        client.get_queue("orders")
        print("found")
    except ResourceNotFoundError:
        print("not found")


def show_queue(queue):
    lock, window = queue.lock_duration, queue.duplicate_detection_history_time_window
    print(queue.name, lock.seconds, queue.max_delivery_count, window.seconds)
    print(queue.requires_session, queue.dead_lettering_on_message_expiration)


def administer_topics(client):
    client.create_topic("news")
    print(*[topic.name for topic in client.list_topics()])
    client.create_subscription("news", "mine", max_delivery_count=3)
    client.create_subscription("news", "other")
    print(*[it.name for it in client.list_subscriptions("news")])
    print(client.get_subscription("news", "mine").max_delivery_count)
    wanted = CorrelationRuleFilter(label="paint", properties={"colour": "blue"})
    client.create_rule("news", "mine", "blue", filter=wanted)
    for rule in client.list_rules("news", "mine"):
        label = getattr(rule.filter, "label", None)
        print(rule.name, type(rule.filter).__name__.replace("Rule", ""), label or "-")
    rule = client.get_rule("news", "mine", "blue")
    print(rule.filter.properties["colour"])
    rule.filter = CorrelationRuleFilter(label="wood")
    client.update_rule("news", "mine", rule)
    print(client.get_rule("news", "mine", "blue").filter.label)
    client.delete_rule("news", "mine", "$Default")
    print(*[rule.name for rule in client.list_rules("news", "mine")])
    client.delete_subscription("news", "mine")
    print(*[it.name for it in client.list_subscriptions("news")])
    client.delete_topic("news")
    print(len(list(client.list_topics())), "topics")


def remove_queues(_client, connection_string, *queues):
    with ServiceBusAdministrationClient.from_connection_string(connection_string) as client:
        for queue in queues:
            try:
                client.delete_queue(queue)
            except ResourceNotFoundError:
                pass


def main():
    step, connection_string, *entities = sys.argv[1:]
    with ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client:
        globals()[step](client, *entities)


main()
