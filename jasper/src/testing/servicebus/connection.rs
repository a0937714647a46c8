//! One connection of a client, from its first byte to its last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::performatives::{ChannelMax, Close, End, MaxFrameSize, Open, Performative};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::access::Access;
use super::channel::{Channel, Context, Output};
use super::sasl;
use super::shared::{Command, Shared};
use super::wire::{self, AMQP_FRAME, Frame, MAX_FRAME_SIZE, WireError};

/// What a peer may at least send in one frame, in bytes.
const MIN_FRAME_SIZE: u32 = 512;

struct Connection<'a> {
    shared: &'a Shared,
    out: Output,
    access: Access,
    channels: BTreeMap<u16, Channel>,
    writer: mpsc::UnboundedSender<Bytes>,
    heartbeat: Option<Interval>,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

/// Serves a client until it goes or is cut off.
pub(super) async fn serve<S>(mut stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut buffer = BytesMut::new();
    let access = match sasl::greet(&mut stream, &mut buffer, &shared.key).await {
        Ok(access) => access,
        Err(error) => return tracing::debug!(%error, "a client was not let in"),
    };
    let (commands, orders) = mpsc::unbounded_channel();
    let number = {
        let mut state = shared.state.lock();
        let number = state.next_number();
        state.connections.insert(number, commands);
        number
    };
    shared.note_change();
    let (reader, writer) = tokio::io::split(stream);
    let (frames, to_write) = mpsc::unbounded_channel();
    let mut connection = Connection {
        shared: &shared,
        out: Output { buffer: BytesMut::new(), max_frame_size: MIN_FRAME_SIZE as usize },
        access,
        channels: BTreeMap::new(),
        writer: frames,
        heartbeat: None,
    };
    // Reading must go on while a client does not read, so writing is a task of its own.
    let writing = tokio::spawn(write(writer, to_write));
    let outcome = connection.run(reader, buffer, orders).await;
    for channel in connection.channels.values_mut() {
        channel.release(&shared);
    }
    drop(connection);
    match outcome {
        Ok(Next::Continue) => writing.abort(),
        Ok(Next::End) => drop(writing.await),
        Err(error) => {
            tracing::debug!(%error, "the connection of a client has ended");
            writing.abort();
        }
    }
    shared.state.lock().connections.remove(&number);
    shared.wake_receivers();
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut frames: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(bytes) = frames.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The client may have gone first.
    let _ = writer.shutdown().await;
}

impl Connection<'_> {
    /// `End` after an orderly close, `Continue` after a cut.
    async fn run(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut buffer: BytesMut,
        mut orders: mpsc::UnboundedReceiver<Command>,
    ) -> Result<Next, WireError> {
        let mut deliverable = self.shared.deliverable.subscribe();
        loop {
            while let Some(frame) = wire::next_frame(&mut buffer)? {
                if self.handle(&frame)? == Next::End {
                    self.flush();
                    return Ok(Next::End);
                }
            }
            if self.access.close_expired(self.shared.clock.now()) {
                self.each_channel(Channel::detach_closed)?;
            }
            self.each_channel(Channel::deliver)?;
            self.flush();
            let deadlines = self.channels.values().filter_map(Channel::deadline);
            let deadline = deadlines.chain(self.access.deadline()).min();
            let deadline = deadline.map(|at| self.shared.clock.instant(at));
            tokio::select! {
                read = reader.read_buf(&mut buffer) => if read? == 0 {
                    return Ok(Next::Continue);
                },
                changed = deliverable.changed() => if changed.is_err() {
                    return Ok(Next::Continue);
                },
                command = orders.recv() => match command {
                    None | Some(Command::Cut) => return Ok(Next::Continue),
                    Some(Command::Detach(entity, refusal)) => self.each_channel(|channel, context| {
                        channel.detach_all(&entity, &refusal, context)
                    })?,
                },
                () = tick(&mut self.heartbeat) => wire::encode_empty(&mut self.out.buffer),
                () = sleep_until(deadline) => {}
            }
        }
    }

    fn each_channel(
        &mut self,
        mut act: impl FnMut(&mut Channel, &mut Context<'_>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut context =
            Context { shared: self.shared, out: &mut self.out, access: &mut self.access };
        self.channels.values_mut().try_for_each(|channel| act(channel, &mut context))
    }

    fn flush(&mut self) {
        if !self.out.buffer.is_empty() {
            // Where the writer has ended, the reader is about to see why.
            let _ = self.writer.send(self.out.buffer.split().freeze());
        }
    }

    fn handle(&mut self, frame: &Frame) -> Result<Next, WireError> {
        if frame.kind != AMQP_FRAME {
            return Err(WireError::Protocol("a frame that is not of AMQP"));
        }
        if frame.body.is_empty() {
            return Ok(Next::Continue);
        }
        let (performative, payload) = wire::decode(&frame.body)?;
        let number = frame.channel;
        let mut context =
            Context { shared: self.shared, out: &mut self.out, access: &mut self.access };
        match performative {
            Performative::Open(open) => self.open(&open)?,
            Performative::Begin(begin) => {
                let channel = Channel::begin(number, &begin, &mut context)?;
                self.channels.insert(number, channel);
            }
            Performative::End(_) => {
                if let Some(mut channel) = self.channels.remove(&number) {
                    channel.release(self.shared);
                    self.out.send(number, &End { error: None })?;
                }
            }
            Performative::Close(_) => {
                self.out.send(0, &Close { error: None })?;
                return Ok(Next::End);
            }
            other => match self.channels.get_mut(&number) {
                Some(channel) => channel.handle(other, &payload, &mut context)?,
                None => return Err(WireError::Protocol("a frame outside of every session")),
            },
        }
        Ok(Next::Continue)
    }

    fn open(&mut self, open: &Open) -> Result<(), WireError> {
        let theirs = open.max_frame_size.0.clamp(MIN_FRAME_SIZE, MAX_FRAME_SIZE);
        self.out.max_frame_size = theirs as usize;
        if let Some(timeout) = open.idle_time_out.filter(|timeout| *timeout > 0) {
            let period = Duration::from_millis(u64::from(timeout).div_ceil(2));
            let mut heartbeat = tokio::time::interval_at(Instant::now() + period, period);
            heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.heartbeat = Some(heartbeat);
        }
        let answer = Open {
            container_id: "jasper-test-broker".to_owned(),
            hostname: None,
            max_frame_size: MaxFrameSize(MAX_FRAME_SIZE),
            channel_max: ChannelMax(4_999),
            idle_time_out: None,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        self.out.send(0, &answer)
    }
}

async fn tick(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(heartbeat) => drop(heartbeat.tick().await),
        None => std::future::pending().await,
    }
}

/// Never ends where there is no deadline.
pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
