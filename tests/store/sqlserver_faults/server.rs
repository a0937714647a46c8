//! A server that speaks as much of the protocol (MS-TDS) as connections need that fail.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does once it is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It reads and says nothing.
    Silence,
    /// It takes no encrypted connection.
    NoTls,
    /// It refuses the login, with this number.
    RefuseLogin(u32),
    /// It takes the login, and closes the connection in the middle of the first answer.
    CutReply,
}

/// The type of a packet with an answer, and the last packet of a message.
const ANSWER: u8 = 0x04;
const LAST: u8 = 0x01;

/// The server says that it cannot encrypt.
const NOT_SUPPORTED: u8 = 0x02;

/// Starts it, and gives its port.
pub async fn start(plan: Plan) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _from)) = listener.accept().await {
            // A client that gives up ends this.
            tokio::spawn(serve(socket, plan));
        }
    });
    port
}

async fn serve(mut socket: TcpStream, plan: Plan) -> io::Result<()> {
    read(&mut socket).await?;
    if plan == Plan::Silence {
        return until_closed(&mut socket).await;
    }
    answer(&mut socket, &prelogin()).await?;
    read(&mut socket).await?;
    if let Plan::RefuseLogin(number) = plan {
        answer(&mut socket, &error(number, "Login failed for user 'app'.")).await?;
        return until_closed(&mut socket).await;
    }
    answer(&mut socket, &[login_ack(), done()].concat()).await?;
    read(&mut socket).await?;
    // A packet of which the header promises more.
    let cut = packet(&done());
    socket.write_all(&cut[..cut.len() / 2]).await
}

/// Reads one message, of however many packets.
async fn read(socket: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut header = [0; 8];
        socket.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut body = vec![0; length.saturating_sub(header.len())];
        socket.read_exact(&mut body).await?;
        if header[1] & LAST != 0 {
            return Ok(());
        }
    }
}

async fn until_closed(socket: &mut TcpStream) -> io::Result<()> {
    socket.read_to_end(&mut Vec::new()).await.map(drop)
}

async fn answer(socket: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    socket.write_all(&packet(body)).await
}

fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&[ANSWER, LAST, length[0], length[1], 0, 0, 1, 0], body].concat()
}

/// A version and whether it encrypts, each with its place and its length.
fn prelogin() -> Vec<u8> {
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
    let version = [16, 0, 0, 0, 0, 0];
    [&options[..], &version, &[NOT_SUPPORTED]].concat()
}

fn login_ack() -> Vec<u8> {
    let name = utf16("server");
    let mut body = vec![1, 0x74, 0, 0, 4, u8::try_from(name.len() / 2).unwrap()];
    body.extend(name);
    body.extend([16, 0, 0, 0]);
    token(0xad, &body)
}

fn done() -> Vec<u8> {
    let mut done = vec![0xfd];
    done.extend([0; 12]);
    done
}

fn error(number: u32, message: &str) -> Vec<u8> {
    const STATE: u8 = 1;
    const CLASS: u8 = 14;
    let mut body = number.to_le_bytes().to_vec();
    body.extend([STATE, CLASS]);
    body.extend(u16::try_from(message.encode_utf16().count()).unwrap().to_le_bytes());
    body.extend(utf16(message));
    // The names of the server and of the procedure, and the line.
    body.extend([0, 0, 1, 0, 0, 0]);
    [token(0xaa, &body), done()].concat()
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind], &length[..], body].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
