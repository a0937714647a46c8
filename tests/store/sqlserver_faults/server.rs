//! A server that speaks as much of the protocol (MS-TDS) as connections need that fail.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

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
    /// It answers what a store asks at its start and as it sets up a session, and nothing after
    /// that.
    SilentCalls,
    /// The same, with this error in place of silence.
    FailCalls(u32),
    /// Another claim was first with the rows of this many claims, and after that none is left.
    LateClaims(usize),
    /// It answers all but statements that have `hang` in them, until it is asked to give them up.
    Hang,
    /// It reports what a login says.
    ReportLogin,
    /// The same, and what a session asks for the first time it does not answer until it is asked to
    /// give it up.
    SlowSessions,
    /// It takes this long for each login after the first, and reports it.
    SlowLogins(Duration),
    /// It answers an insert after this time.
    SlowInserts(Duration),
    /// It does not answer a write of more rows than this until it is asked to give it up.
    LargeWrites(usize),
    /// It has this many rows to claim, and does not answer a claim of more than the second number
    /// until it is asked to give it up.
    LargeClaims(usize, usize),
    /// A connection over which `hang` is asked is silent from then on, and its session is not
    /// listed. The node [`GONE`] is gone.
    SilentSession {
        /// How often the lock of a session is asked for in vain over one connection.
        held: usize,
        /// The number of a connection over which a search for a session is not answered.
        silent_search: Option<usize>,
    },
}

/// What a client does, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It logs in, with this text in what it says.
    Login(String),
    /// It asks what is not answered.
    Call,
    /// It asks for a session at the server, which it wants to end.
    SearchForSession,
    /// It closes a connection over which it has asked what is not answered.
    Close,
    /// It claims rows.
    Claim,
    /// It asks the server to give up what it does (attention).
    Attention,
    /// It undoes a transaction.
    Rollback,
    /// It inserts rows into the inbox.
    Insert,
    /// It settles rows of the inbox.
    Settlement,
    /// It forgets a node.
    Forget,
    /// It asks for the lock of a session, which is held or free.
    HeldLock,
    FreeLock,
}

pub const GONE: i64 = 5;

/// The type of a packet with an answer, of one that asks the server to give up, and the last packet
/// of a message.
const ANSWER: u8 = 0x04;
const ATTENTION: u8 = 0x06;
const LAST: u8 = 0x01;

/// The server says that it cannot encrypt.
const NOT_SUPPORTED: u8 = 0x02;

/// Starts it, and gives its port, and what its clients do.
pub async fn start(plan: Plan) -> (u16, UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, log) = unbounded_channel();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((socket, _from)) = listener.accept().await {
            // A client that gives up ends this.
            tokio::spawn(serve(socket, plan, number, seen.clone()));
            number += 1;
        }
    });
    (port, log)
}

/// Serves the connection of this number.
async fn serve(
    mut socket: TcpStream,
    plan: Plan,
    number: usize,
    seen: UnboundedSender<Seen>,
) -> io::Result<()> {
    read(&mut socket).await?;
    if plan == Plan::Silence {
        return until_closed(&mut socket).await;
    }
    answer(&mut socket, &prelogin()).await?;
    let login = read(&mut socket).await?;
    if matches!(plan, Plan::ReportLogin | Plan::SlowSessions | Plan::SlowLogins(_)) {
        // The test may have ended.
        let _ = seen.send(Seen::Login(text_of(&login)));
    }
    if let Plan::SlowLogins(time) = plan
        && number > 0
    {
        // Real time: the client has a limit for it.
        tokio::time::sleep(time).await;
    }
    if let Plan::RefuseLogin(number) = plan {
        answer(&mut socket, &error(number, "Login failed for user 'app'.")).await?;
        return until_closed(&mut socket).await;
    }
    answer(&mut socket, &[login_ack(), done(0)].concat()).await?;
    match plan {
        Plan::SilentCalls | Plan::ReportLogin => {
            return answer_until_a_call(&mut socket, None, &seen).await;
        }
        Plan::FailCalls(number) => {
            return answer_until_a_call(&mut socket, Some(number), &seen).await;
        }
        Plan::LateClaims(late) => return answer_claims(&mut socket, late, &seen).await,
        Plan::LargeClaims(rows, most) => {
            return answer_small_claims(&mut socket, rows, most, &seen).await;
        }
        Plan::Hang => return answer_until_it_hangs(&mut socket, &seen).await,
        Plan::SilentSession { held, silent_search } => {
            let is_silent = silent_search == Some(number);
            return answer_until_it_is_silent(&mut socket, held, is_silent, &seen).await;
        }
        Plan::SlowSessions | Plan::SlowLogins(_) | Plan::SlowInserts(_) | Plan::LargeWrites(_) => {
            return answer_slowly(&mut socket, plan, &seen).await;
        }
        _ => {}
    }
    read(&mut socket).await?;
    // A packet of which the header promises more.
    let cut = packet(&done(0));
    socket.write_all(&cut[..cut.len() / 2]).await
}

async fn answer_until_a_call(
    socket: &mut TcpStream,
    failure: Option<u32>,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    loop {
        let asked = text_of(&read(socket).await?);
        if !answer_at_start(socket, &asked).await? {
            let is_search = asked.contains("sys.dm_exec_sessions");
            // The test may have ended.
            let _ = seen.send(if is_search { Seen::SearchForSession } else { Seen::Call });
            if let Some(number) = failure {
                answer(socket, &error(number, "It is refused.")).await?;
                continue;
            }
            until_closed(socket).await?;
            if !is_search {
                let _ = seen.send(Seen::Close);
            }
            return Ok(());
        }
    }
}

/// Answers what a store asks at its start and as it sets up a session. Says whether this was that.
async fn answer_at_start(socket: &mut TcpStream, asked: &str) -> io::Result<bool> {
    if asked.contains("@@options") || is_lock(asked, "Exclusive") {
        answer(socket, &[settings(), done(1)].concat()).await?;
    } else if asked.contains("db_name()") {
        answer(socket, &[row(&["shop", ""]), done(1)].concat()).await?;
    } else if asked.contains("set ansi_nulls") {
        answer(socket, &done(0)).await?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Gives up what was not answered.
async fn answer_attention(socket: &mut TcpStream, seen: &UnboundedSender<Seen>) -> io::Result<()> {
    let _ = seen.send(Seen::Attention);
    answer(socket, &given_up()).await
}

/// Whether it asks for the lock of a session in this mode.
fn is_lock(asked: &str, mode: &str) -> bool {
    asked.contains("cast(@locked") && asked.contains(mode)
}

async fn answer_claims(
    socket: &mut TcpStream,
    late: usize,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    let mut claims = 0;
    loop {
        let asked = text_of(&read(socket).await?);
        if answer_at_start(socket, &asked).await? {
            continue;
        }
        if asked.contains("select top (1) 1") && claims <= late {
            answer(socket, &[row(&["1"]), done(1)].concat()).await?;
            continue;
        }
        if asked.contains("update") {
            claims += 1;
            let _ = seen.send(Seen::Claim);
        }
        answer(socket, &done(0)).await?;
    }
}

async fn answer_small_claims(
    socket: &mut TcpStream,
    mut rows: usize,
    most: usize,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    loop {
        let (kind, message) = read_packets(socket).await?;
        let asked = text_of(&message);
        if kind == ATTENTION {
            answer_attention(socket, seen).await?;
        } else if asked.contains("if @@trancount > 0 rollback") {
            let _ = seen.send(Seen::Rollback);
            answer(socket, &done(0)).await?;
        } else if asked.contains("order by found.sent_at") {
            // The last parameter is a number.
            let (_, limit) = message.split_last_chunk().expect("a number has 8 bytes");
            let limit = usize::try_from(i64::from_le_bytes(*limit)).unwrap();
            if limit > most {
                let _ = seen.send(Seen::Call);
                continue;
            }
            let _ = seen.send(Seen::Claim);
            let given = limit.min(rows);
            rows -= given;
            answer(socket, &[claimed(given), done(1)].concat()).await?;
        } else if asked.contains("select top (1) 1") {
            answer(socket, &done(0)).await?;
        } else if !answer_at_start(socket, &asked).await? {
            answer(socket, &[settings(), done(1)].concat()).await?;
        }
    }
}

async fn answer_until_it_hangs(
    socket: &mut TcpStream,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    loop {
        let (kind, message) = read_packets(socket).await?;
        let asked = text_of(&message);
        if kind == ATTENTION {
            answer_attention(socket, seen).await?;
        } else if asked.contains("hang") {
            let _ = seen.send(Seen::Call);
        } else if !answer_at_start(socket, &asked).await? {
            let is_search = asked.contains("sys.dm_exec_sessions");
            let _ = seen.send(if is_search { Seen::SearchForSession } else { Seen::Rollback });
            answer(socket, &done(0)).await?;
        }
    }
}

async fn answer_until_it_is_silent(
    socket: &mut TcpStream,
    held: usize,
    is_search_silent: bool,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    let mut asked_for_lock = 0;
    loop {
        let asked = text_of(&read(socket).await?);
        let is_search = asked.contains("sys.dm_exec_sessions");
        if is_search {
            let _ = seen.send(Seen::SearchForSession);
        }
        if asked.contains("hang") || is_search && is_search_silent {
            return until_closed(socket).await;
        }
        if is_search {
            answer(socket, &done(0)).await?;
        } else if asked.contains("select 1 as what") {
            answer(socket, &[gone(GONE), done(1)].concat()).await?;
        } else if asked.contains("where node = @P1 and lease_until = 0") {
            let _ = seen.send(Seen::Forget);
            answer(socket, &done(0)).await?;
        } else if is_lock(&asked, "Shared") {
            asked_for_lock += 1;
            let is_held = asked_for_lock <= held;
            let _ = seen.send(if is_held { Seen::HeldLock } else { Seen::FreeLock });
            let answered = if is_held { number(-1) } else { number(0) };
            answer(socket, &[answered, done(1)].concat()).await?;
        } else if !answer_at_start(socket, &asked).await? {
            answer(socket, &[settings(), done(1)].concat()).await?;
        }
    }
}

async fn answer_slowly(
    socket: &mut TcpStream,
    plan: Plan,
    seen: &UnboundedSender<Seen>,
) -> io::Result<()> {
    let mut known = HashSet::new();
    loop {
        let (kind, message) = read_packets(socket).await?;
        let asked = text_of(&message);
        let is_insert = asked.contains("insert into [jasper].[jasper_incoming]");
        let is_settlement = asked.contains("delete from [jasper].[jasper_incoming]");
        if kind == ATTENTION {
            answer_attention(socket, seen).await?;
            continue;
        }
        if answer_at_start(socket, &asked).await? {
            continue;
        }
        if asked.contains("rollback") {
            let _ = seen.send(Seen::Rollback);
            answer(socket, &done(0)).await?;
            continue;
        }
        let is_left = match plan {
            Plan::SlowSessions => known.insert(asked.clone()),
            Plan::LargeWrites(most) => {
                (is_insert || is_settlement) && asked.matches("\"destination\"").count() > most
            }
            _ => false,
        };
        if is_left {
            let _ = seen.send(Seen::Call);
            continue;
        }
        if is_settlement {
            let _ = seen.send(Seen::Settlement);
            answer(socket, &done(0)).await?;
        } else if is_insert {
            let _ = seen.send(Seen::Insert);
            if let Plan::SlowInserts(time) = plan {
                // Real time: the client has a limit for it.
                tokio::time::sleep(time).await;
            }
            answer(socket, &done(0)).await?;
        } else {
            answer(socket, &[settings(), done(1)].concat()).await?;
        }
    }
}

/// Reads one message, of however many packets.
async fn read(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    Ok(read_packets(socket).await?.1)
}

/// The same, with its type.
async fn read_packets(socket: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; 8];
        socket.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let mut body = vec![0; length.saturating_sub(header.len())];
        socket.read_exact(&mut body).await?;
        message.extend(body);
        if header[1] & LAST != 0 {
            return Ok((header[0], message));
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

/// The end of a statement that has changed this many rows.
fn done(rows: u8) -> Vec<u8> {
    const COUNTED: u8 = 0x10;
    ended(COUNTED, rows)
}

/// The end of what the server was asked to give up.
fn given_up() -> Vec<u8> {
    const ATTENTION_DONE: u8 = 0x20;
    ended(ATTENTION_DONE, 0)
}

fn ended(status: u8, rows: u8) -> Vec<u8> {
    let mut done = vec![0xfd, status];
    done.extend([0, 0, 0, rows]);
    done.extend([0; 7]);
    done
}

/// The settings of a session: a number and a text.
fn settings() -> Vec<u8> {
    number(7)
}

/// One row of a number and a text.
fn number(number: i64) -> Vec<u8> {
    const NUMBER: u8 = 0x7f;
    let text = row(&["shop"]);
    // The description of the text without its head, and its value without the sign of a row.
    let (described, value) = text[3..].split_at(text.len() - 3 - 11);
    let mut answer = vec![0x81, 2, 0, 0, 0, 0, 0, 0, 0, NUMBER, 0];
    answer.extend(described);
    answer.push(0xd1);
    answer.extend(number.to_le_bytes());
    answer.extend(&value[1..]);
    answer
}

/// What says that this node is gone.
fn gone(node: i64) -> Vec<u8> {
    const NUMBER: u8 = 0x7f;
    const SHORT_NUMBER: u8 = 0x38;
    let mut answer = vec![0x81, 2, 0];
    for kind in [SHORT_NUMBER, NUMBER] {
        answer.extend([0, 0, 0, 0, 0, 0, kind, 0]);
    }
    answer.push(0xd1);
    answer.extend(1_i32.to_le_bytes());
    answer.extend(node.to_le_bytes());
    answer
}

/// One row of texts, with what describes its columns.
fn row(texts: &[&str]) -> Vec<u8> {
    const NVARCHAR: u8 = 0xe7;
    const LONGEST: u16 = 256;
    let mut answer = vec![0x81];
    answer.extend(u16::try_from(texts.len()).unwrap().to_le_bytes());
    for _ in texts {
        // The type of a user, flags, the type, an order for texts, and no name.
        answer.extend([0, 0, 0, 0, 0, 0, NVARCHAR]);
        answer.extend(LONGEST.to_le_bytes());
        answer.extend([0x09, 0x04, 0xd0, 0x00, 0x34, 0]);
    }
    answer.push(0xd1);
    for text in texts {
        let text = utf16(text);
        answer.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        answer.extend(text);
    }
    answer
}

/// This number of rows, as a claim of the inbox gives them. Their bodies are no messages.
fn claimed(rows: usize) -> Vec<u8> {
    const BINARY: u8 = 0xad;
    const VARBINARY: u8 = 0xa5;
    const NVARCHAR: u8 = 0xe7;
    const NUMBER: u8 = 0x7f;
    const LONGEST: u8 = 0x40;
    const NO_NAME: u8 = 0;
    let order = [0x09, 0x04, 0xd0, 0x00, 0x34];
    let text = [&[NVARCHAR, LONGEST, 0][..], &order].concat();
    let columns: [&[u8]; 6] =
        [&[BINARY, 16, 0], &text, &[NUMBER], &[VARBINARY, LONGEST, 0], &text, &[NUMBER]];
    let mut answer = vec![0x81, 6, 0];
    for column in columns {
        answer.extend([0; 6]);
        answer.extend(column);
        answer.push(NO_NAME);
    }
    for number in 0..rows {
        let number = u8::try_from(number).unwrap();
        answer.push(0xd1);
        answer.extend([16, 0]);
        answer.extend([number; 16]);
        answer.extend([2, 0]);
        answer.extend(utf16("d"));
        answer.extend(1_i64.to_le_bytes());
        answer.extend([1, 0, number]);
        answer.extend([0, 0]);
        answer.extend(1_i64.to_le_bytes());
    }
    answer
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
    [token(0xaa, &body), done(0)].concat()
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    [&[kind], &length[..], body].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What stands in a message as text, in spite of what is before it.
fn text_of(message: &[u8]) -> String {
    let read = |from: usize| {
        let units = message[from.min(message.len())..].chunks_exact(2);
        String::from_utf16_lossy(
            &units.map(|u| u16::from_le_bytes([u[0], u[1]])).collect::<Vec<_>>(),
        )
    };
    read(0) + &read(1)
}
