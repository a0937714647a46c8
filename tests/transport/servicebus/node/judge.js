// One step of what an application does with Service Bus, by Microsoft's client for JavaScript.
//
// usage: judge.js STEP CONNECTION_STRING ENTITY [SUBSCRIPTION...]
//
// The steps are those of ../python/judge.py, and print the same.

"use strict";

const readline = require("node:readline");
const WebSocket = require("ws");
const { ServiceBusAdministrationClient, ServiceBusClient } = require("@azure/service-bus");

const WAIT = { maxWaitTimeInMs: 10_000 };
const retryOptions = { maxRetries: 0, timeoutInMs: 10_000 };

async function send(client, queue, texts, settings = {}) {
  const sender = client.createSender(queue);
  await sender.sendMessages(texts.map((body) => ({ body, ...settings })));
  await sender.close();
}

async function take(receiver, count) {
  const messages = [];
  while (messages.length < count) {
    const more = await receiver.receiveMessages(count - messages.length, WAIT);
    if (more.length === 0) {
      throw new Error(`${messages.length} of ${count} messages came`);
    }
    messages.push(...more);
  }
  return messages;
}

async function waitForBroker() {
  const lines = readline.createInterface({ input: process.stdin });
  console.log("ready");
  await new Promise((resolve) => lines.once("line", resolve));
  lines.close();
}

// A zero is left out on the wire, and this client has no default for it.
function failures(message) {
  return message.deliveryCount ?? 0;
}

// What the client says of an error: its code where it has one.
function kind(error) {
  return error.code ?? error.name;
}

const steps = {
  async batch(client, queue) {
    const sender = client.createSender(queue);
    const batch = await sender.createMessageBatch();
    for (const body of ["one", "two", "three"]) {
      const applicationProperties = { colour: "blue", size: 7 };
      batch.tryAddMessage({ body, messageId: `id ${body}`, applicationProperties });
    }
    await sender.sendMessages(batch);
    const receiver = client.createReceiver(queue);
    for (const message of await take(receiver, 3)) {
      const { colour, size } = message.applicationProperties;
      console.log(message.body, message.messageId, colour, size);
      await receiver.completeMessage(message);
    }
  },

  async abandon(client, queue) {
    await send(client, queue, ["again"]);
    const receiver = client.createReceiver(queue);
    const [first] = await take(receiver, 1);
    console.log(first.body, failures(first));
    await receiver.abandonMessage(first);
    const [second] = await take(receiver, 1);
    console.log(second.body, failures(second));
    await receiver.completeMessage(second);
  },

  async poison(client, queue) {
    await send(client, queue, ["poison"]);
    const receiver = client.createReceiver(queue);
    for (let times = 0; times < 2; times++) {
      const [message] = await take(receiver, 1);
      await receiver.abandonMessage(message);
    }
    await readDeadLetter(client, queue);
  },

  async dead_letter(client, queue) {
    await send(client, queue, ["broken"]);
    const receiver = client.createReceiver(queue);
    const [message] = await take(receiver, 1);
    await receiver.deadLetterMessage(message, {
      deadLetterReason: "Unreadable",
      deadLetterErrorDescription: "no colon",
    });
    await readDeadLetter(client, queue);
  },

  async renew_lock(client, queue) {
    await send(client, queue, ["long"]);
    const receiver = client.createReceiver(queue);
    const [message] = await take(receiver, 1);
    const before = message.lockedUntilUtc;
    const after = await receiver.renewMessageLock(message);
    console.log(after > before ? "later" : "not later");
    await receiver.completeMessage(message);
  },

  async lost_lock(client, queue) {
    await send(client, queue, ["late"]);
    const receiver = client.createReceiver(queue);
    const [message] = await take(receiver, 1);
    await waitForBroker();
    await receiver.completeMessage(message).then(
      () => console.log("completed"),
      (error) => console.log(kind(error)),
    );
    const [again] = await take(receiver, 1);
    console.log(again.body, failures(again));
    await receiver.completeMessage(again);
  },

  async schedule(client, queue) {
    const soon = new Date(Date.now() + 1000);
    const later = new Date(soon.getTime() + 3_600_000);
    const sender = client.createSender(queue);
    const [kept] = await sender.scheduleMessages([{ body: "kept" }], soon);
    const cancelled = await sender.scheduleMessages(
      [{ body: "cancelled 1" }, { body: "cancelled 2" }],
      later,
    );
    console.log(new Set([kept, ...cancelled].map(String)).size, "numbers");
    await sender.cancelScheduledMessages(cancelled);
    const receiver = client.createReceiver(queue);
    const [message] = await take(receiver, 1);
    console.log(message.body, new Date() >= soon ? "in time" : "too early");
    await receiver.completeMessage(message);
  },

  async defer(client, queue) {
    await send(client, queue, ["later", "now"]);
    const receiver = client.createReceiver(queue);
    const [first, second] = await take(receiver, 2);
    await receiver.deferMessage(first);
    await receiver.completeMessage(second);
    const [message] = await receiver.receiveDeferredMessages(first.sequenceNumber);
    console.log(message.body);
    await receiver.completeMessage(message);
  },

  async peek(client, queue) {
    await send(client, queue, ["one", "two"]);
    const receiver = client.createReceiver(queue);
    for (const message of await receiver.peekMessages(5)) {
      console.log(message.body, message.sequenceNumber.toString());
    }
    const more = await receiver.peekMessages(5);
    console.log(more.length, "more");
  },

  async receive_and_delete(client, queue) {
    await send(client, queue, ["gone"]);
    const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
    const [message] = await take(receiver, 1);
    console.log(message.body);
  },

  async duplicates(client, queue) {
    await send(client, queue, ["first", "repeat"], { messageId: "order 7" });
    await send(client, queue, ["repeat"], { messageId: "order 7" });
    await send(client, queue, ["other"], { messageId: "order 8" });
    const receiver = client.createReceiver(queue);
    for (const message of await take(receiver, 2)) {
      console.log(message.body);
      await receiver.completeMessage(message);
    }
  },

  async sessions(client, queue) {
    for (const text of ["1", "2", "3"]) {
      for (const sessionId of ["red", "green"]) {
        await send(client, queue, [`${sessionId} ${text}`], { sessionId });
      }
    }
    const red = await client.acceptSession(queue, "red");
    const other = await client.acceptNextSession(queue);
    console.log("holds", red.sessionId, other.sessionId);
    for (const receiver of [other, red]) {
      for (const message of await take(receiver, 3)) {
        console.log(message.body);
        await receiver.completeMessage(message);
      }
    }
    console.log("state", (await red.getSessionState()) ?? "None");
    await red.setSessionState("half way");
    console.log("state", String(await red.getSessionState()));
    const before = red.sessionLockedUntilUtc;
    const after = await red.renewSessionLock();
    console.log(after > before ? "later" : "not later");
  },

  async held_session(client, queue) {
    await send(client, queue, ["kept"], { sessionId: "red" });
    const holder = await client.acceptSession(queue, "red");
    await take(holder, 1);
    await client.acceptSession(queue, "red").then(
      () => console.log("accepted"),
      (error) => console.log(kind(error)),
    );
    await holder.close();
    const next = await client.acceptSession(queue, "red");
    const [message] = await take(next, 1);
    console.log(message.body, failures(message));
    await next.completeMessage(message);
  },

  async web_socket(_client, queue, connectionString) {
    const webSocketOptions = { webSocket: WebSocket };
    const client = new ServiceBusClient(connectionString, { retryOptions, webSocketOptions });
    await steps.batch(client, queue);
    await client.close();
  },

  async no_session(client, queue) {
    await client.acceptNextSession(queue).then(
      () => console.log("accepted"),
      (error) => console.log(kind(error)),
    );
  },

  async topic(client, topic, ...subscriptions) {
    await send(client, topic, ["for all"]);
    await send(client, topic, ["blue"], { applicationProperties: { colour: "blue" } });
    for (const [at, count] of [2, 1].entries()) {
      const receiver = client.createReceiver(topic, subscriptions[at]);
      for (const message of await take(receiver, count)) {
        console.log(subscriptions[at], message.body);
        await receiver.completeMessage(message);
      }
    }
  },

  async rules(client, topic, subscription) {
    const rules = client.createRuleManager(topic, subscription);
    await rules.deleteRule("$Default");
    const applicationProperties = { colour: "blue" };
    await rules.createRule("blue", { subject: "paint", applicationProperties });
    await rules.createRule("all", { sqlExpression: "1=1" });
    for await (const { name, filter } of rules.listRules()) {
      console.log(name, filter.subject ?? "-", filter.applicationProperties?.colour ?? "-");
    }
    await rules.deleteRule("all");
    await rules.createRule("sql", { sqlExpression: "size + 1 > 7" }).then(
      () => console.log("created"),
      (error) => console.log("refused:", error.message.includes("SQL")),
    );
    await rules.createRule("large", { sqlExpression: "size > 7 AND sys.Label LIKE 'w%d'" });
    for await (const { name, filter } of rules.listRules()) {
      console.log(name, filter.sqlExpression ?? "-");
    }
    await send(client, topic, ["wrong subject"], { subject: "wood", applicationProperties });
    await send(client, topic, ["right"], { subject: "paint", applicationProperties });
    const large = { size: 8 };
    await send(client, topic, ["large"], { subject: "wood", applicationProperties: large });
    const receiver = client.createReceiver(topic, subscription);
    for (const message of await take(receiver, 2)) {
      console.log(message.body);
      await receiver.completeMessage(message);
    }
  },

  async administer(_client, connectionString) {
    const client = new ServiceBusAdministrationClient(connectionString);
    await administerQueues(client);
    await administerTopics(client);
  },

  async refused(client, queue) {
    await send(client, queue, ["never"]).then(
      () => console.log("sent"),
      (error) => console.log(kind(error)),
    );
  },

  async too_large(client, queue) {
    await send(client, queue, ["x".repeat(300_000)]).then(
      () => console.log("sent"),
      (error) => console.log(kind(error)),
    );
  },
};

async function readDeadLetter(client, queue) {
  const receiver = client.createReceiver(queue, { subQueueType: "deadLetter" });
  const [message] = await take(receiver, 1);
  const { deadLetterReason, deadLetterErrorDescription } = message;
  console.log(message.body, "|", deadLetterReason, "|", deadLetterErrorDescription);
  await receiver.completeMessage(message);
}

async function all(list, show) {
  const shown = [];
  for await (const one of list) {
    shown.push(show(one));
  }
  return shown;
}

async function administerQueues(client) {
  await client.createQueue("orders", {
    lockDuration: "PT30S",
    maxDeliveryCount: 5,
    requiresSession: true,
    requiresDuplicateDetection: true,
    duplicateDetectionHistoryTimeWindow: "PT2M",
    deadLetteringOnMessageExpiration: true,
  });
  showQueue(await client.getQueue("orders"));
  await client.createQueue("orders").then(
    () => console.log("created"),
    (error) => console.log(
      error.code === "MessageEntityAlreadyExistsError" ? "exists already" : error,
    ),
  );
  await client.updateQueue({ ...(await client.getQueue("orders")), maxDeliveryCount: 7 });
  showQueue(await client.getQueue("orders"));
  for (let number = 0; number < 3; number++) {
    await client.createQueue(`queue-${number}`);
  }
  const names = [];
  for await (const page of client.listQueues().byPage({ maxPageSize: 2 })) {
    names.push(...page.map((queue) => queue.name));
  }
  console.log(names.length, "queues", ...names);
  const { activeMessageCount } = await client.getQueueRuntimeProperties("orders");
  console.log(activeMessageCount, "messages");
  for (const name of names) {
    await client.deleteQueue(name);
  }
  console.log((await client.queueExists("orders")) ? "found" : "not found");
}

function showQueue(queue) {
  const seconds = (text) => Number(text.replace(/^PT(\d+)S$/, "$1"));
  const window = seconds(queue.duplicateDetectionHistoryTimeWindow);
  console.log(queue.name, seconds(queue.lockDuration), queue.maxDeliveryCount, window);
  const word = (flag) => (flag ? "True" : "False");
  console.log(word(queue.requiresSession), word(queue.deadLetteringOnMessageExpiration));
}

async function administerTopics(client) {
  await client.createTopic("news");
  console.log(...(await all(client.listTopics(), (topic) => topic.name)));
  await client.createSubscription("news", "mine", { maxDeliveryCount: 3 });
  await client.createSubscription("news", "other");
  const subscriptions = () => all(client.listSubscriptions("news"), (it) => it.subscriptionName);
  console.log(...(await subscriptions()));
  console.log((await client.getSubscription("news", "mine")).maxDeliveryCount);
  const wanted = { subject: "paint", applicationProperties: { colour: "blue" } };
  await client.createRule("news", "mine", "blue", wanted);
  for await (const { name, filter } of client.listRules("news", "mine")) {
    const kind = filter.sqlExpression === "1=1" ? "TrueFilter" : "CorrelationFilter";
    console.log(name, kind, filter.subject ?? "-");
  }
  const rule = await client.getRule("news", "mine", "blue");
  console.log(rule.filter.applicationProperties.colour);
  await client.updateRule("news", "mine", { ...rule, filter: { subject: "wood" } });
  console.log((await client.getRule("news", "mine", "blue")).filter.subject);
  await client.deleteRule("news", "mine", "$Default");
  console.log(...(await all(client.listRules("news", "mine"), (it) => it.name)));
  await client.deleteSubscription("news", "mine");
  console.log(...(await subscriptions()));
  await client.deleteTopic("news");
  console.log((await all(client.listTopics(), (topic) => topic.name)).length, "topics");
}

async function main() {
  const [step, connectionString, ...entities] = process.argv.slice(2);
  const client = new ServiceBusClient(connectionString, { retryOptions });
  await steps[step](client, ...entities);
  await client.close();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
