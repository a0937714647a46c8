//! A broker for one test, and the programs that judge it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jasper::testing::servicebus::{Broker, Counts, EntitySettings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/transport/servicebus");
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const QUEUE: &str = "orders";

/// Microsoft's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    Python,
    Node,
}

/// A running step of a judge.
pub(crate) struct Step {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A broker with one queue.
pub(crate) async fn broker(settings: EntitySettings) -> Broker {
    let broker = Broker::start().await.unwrap();
    broker.create_queue(QUEUE, settings).unwrap();
    broker
}

/// What the counts of an entity become; fails where they do not in time.
pub(crate) async fn until(
    broker: &Broker,
    entity: &str,
    is_so: impl Fn(&Counts) -> bool,
) -> Counts {
    let waiting = broker.wait_until(entity, is_so);
    match timeout(PATIENCE, waiting).await {
        Ok(counts) => counts,
        Err(_) => panic!("the counts stayed {:?}", broker.counts(entity)),
    }
}

impl Judge {
    fn command(self) -> Command {
        match self {
            Self::Python => {
                let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
                let python = repository.join("target/servicebus-python/bin/python");
                assert!(python.exists(), "run `tests/run`, which installs the client for Python");
                let mut command = Command::new(python);
                command.arg(format!("{FOLDER}/python/judge.py"));
                command
            }
            Self::Node => {
                let library = PathBuf::from(FOLDER).join("node/node_modules/@azure/service-bus");
                assert!(library.exists(), "run `tests/run`, or `npm ci` in {FOLDER}/node");
                let mut command = Command::new("node");
                command.arg(format!("{FOLDER}/node/judge.js"));
                command
            }
        }
    }

    pub(crate) fn start(self, step: &str, connection: &str, entities: &[&str]) -> Step {
        Self::begin(self.command(), step, connection, entities)
    }

    fn begin(mut command: Command, step: &str, connection: &str, entities: &[&str]) -> Step {
        command.arg(step).arg(connection).args(entities).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Step { child, input, output }
    }

    /// What the step prints that administers a broker under TLS.
    pub(crate) async fn administer(self, broker: &Broker, root: &Path) -> String {
        let connection = broker.administration_connection_string("localhost");
        let command = self.command_under_tls(root);
        Self::begin(command, "administer", &connection, &[&connection]).finish().await
    }

    /// What the step prints that goes through a WebSocket under TLS. Neither client has one that
    /// is not under TLS.
    pub(crate) async fn web_socket(self, broker: &Broker, root: &Path) -> String {
        // The WebSocket is at the port of the administration.
        let connection = broker.administration_connection_string("localhost");
        let entities = [QUEUE, &connection, root.to_str().unwrap()];
        let command = self.command_under_tls(root);
        Self::begin(command, "web_socket", &connection, &entities).finish().await
    }

    fn command_under_tls(self, root: &Path) -> Command {
        let mut command = self.command();
        // Each of the two clients takes roots by a variable of its own.
        command.env("REQUESTS_CA_BUNDLE", root).env("NODE_EXTRA_CA_CERTS", root);
        command
    }

    /// What the step prints.
    pub(crate) async fn run(self, step: &str, broker: &Broker, entities: &[&str]) -> String {
        self.start(step, &broker.connection_string(), entities).finish().await
    }
}

impl Step {
    /// Waits until the step waits for the broker.
    pub(crate) async fn ready(&mut self) {
        let mut line = String::new();
        timeout(PATIENCE, self.output.read_line(&mut line)).await.unwrap().unwrap();
        assert_eq!(line, "ready\n");
    }

    /// Lets a step go on that waits for the broker.
    pub(crate) async fn go_on(&mut self) {
        self.input.write_all(b"\n").await.unwrap();
    }

    /// What the step prints until its end.
    pub(crate) async fn finish(mut self) -> String {
        let mut printed = String::new();
        let reading = self.output.read_to_string(&mut printed);
        timeout(PATIENCE, reading).await.expect("the step ends in time").unwrap();
        let output = self.child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}{said}");
        printed
    }
}
