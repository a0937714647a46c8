//! A bare echo of length-delimited frames, the least that a network of tokio costs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::Outcome;
use crate::report::percentile;

pub(crate) struct Echo(SocketAddr);

/// Whether frames share a write to the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Shared,
    Single,
}

impl Echo {
    pub(crate) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(answer(stream));
            }
            #[expect(unreachable_code, reason = "it says what the task ends with")]
            Outcome::Ok(())
        });
        Ok(Self(addr))
    }

    async fn connect(&self) -> Outcome<Framed<TcpStream, LengthDelimitedCodec>> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        Ok(Framed::new(stream, LengthDelimitedCodec::new()))
    }

    /// Frames per second that are sent one after the other, and come back.
    pub(crate) async fn rate(&self, frames: usize, bytes: usize, writes: Writes) -> Outcome<f64> {
        let (mut sink, mut stream) = self.connect().await?.split();
        let payload = Bytes::from(vec![b'x'; bytes]);
        let started = Instant::now();
        let send = async move {
            for _ in 0..frames {
                sink.feed(payload.clone()).await?;
                if writes == Writes::Single {
                    sink.flush().await?;
                }
            }
            sink.flush().await?;
            // Kept until all has come back: to drop it closes one direction.
            Outcome::Ok(sink)
        };
        let receive = async {
            for _ in 0..frames {
                stream.next().await.ok_or("the echo has ended")??;
            }
            Outcome::Ok(())
        };
        let (_sink, ()) = tokio::try_join!(send, receive)?;
        Ok(frames as f64 / started.elapsed().as_secs_f64())
    }

    /// Seconds until a frame comes back, at 100 frames per second: p50 and p99.
    pub(crate) async fn latency(&self, frames: usize, bytes: usize) -> Outcome<[f64; 2]> {
        let mut connection = self.connect().await?;
        let payload = Bytes::from(vec![b'x'; bytes]);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seconds = Vec::with_capacity(frames);
        for _ in 0..frames {
            ticks.tick().await;
            let started = Instant::now();
            connection.send(payload.clone()).await?;
            connection.next().await.ok_or("the echo has ended")??;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok([percentile(seconds.clone(), 50), percentile(seconds, 99)])
    }
}

async fn answer(stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let (mut sink, mut stream) = Framed::new(stream, LengthDelimitedCodec::new()).split();
    while let Some(frame) = stream.next().await {
        let mut frame = frame?.freeze();
        // As many as have come are answered in one write.
        loop {
            sink.feed(frame).await?;
            match futures_util::poll!(stream.next()) {
                std::task::Poll::Ready(Some(next)) => frame = next?.freeze(),
                std::task::Poll::Ready(None) | std::task::Poll::Pending => break,
            }
        }
        sink.flush().await?;
    }
    Ok(())
}
