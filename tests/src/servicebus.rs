//! What tests do to a namespace of Azure Service Bus by Microsoft's own client.

use std::path::Path;
use std::process::Command;

/// Removes these queues, where they are there.
pub fn remove_queues(connection_string: &str, queues: &[&str]) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = repository.join("target/servicebus-python/bin/python");
    let judge = repository.join("tests/transport/servicebus/python/judge.py");
    let mut command = Command::new(python);
    command.arg(judge).arg("remove_queues").arg(connection_string).arg(connection_string);
    match command.args(queues).status() {
        Ok(status) if status.success() => {}
        other => eprintln!("{queues:?} are not removed: {other:?}"),
    }
}
