// A program that knows nothing of jasper: foreign.js send|receive URL QUEUE

"use strict";

const amqp = require("amqplib");

// A message with a type and its version, and one with a type alone.
async function send(channel, queue) {
  for (const [type, text] of [["rabbit.note@1", "from amqplib"], ["rabbit.note", "without a version"]]) {
    const options = { type, contentType: "application/json", mandatory: true, headers: { number: 7 } };
    channel.sendToQueue(queue, Buffer.from(JSON.stringify({ text })), options);
  }
  await channel.waitForConfirms();
}

// Prints what a message of jasper says to one who knows nothing of it.
async function receive(channel, queue) {
  const message = await new Promise((resolve) => channel.consume(queue, resolve));
  channel.ack(message);
  const { type, contentType, headers, appId, deliveryMode } = message.properties;
  console.log(type, contentType, JSON.parse(message.content).text);
  console.log(headers.colour, appId, deliveryMode);
}

async function main([what, url, queue]) {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  await { send, receive }[what](channel, queue);
  await channel.close();
  await connection.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
