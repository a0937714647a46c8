//! The README and the first page of the guide, done as they say: in a copy of the repository as a
//! clone has it, with nothing built, and with a home folder that holds only a profile for Cargo.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tests::program;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Two programs and their libraries are built from nothing, beside all else, which may be more than
/// the tests.
const LIMIT: Duration = Duration::from_secs(50 * 60);

/// A folder with a clone called `jasper` in it, and room for an application beside that.
struct Newcomer {
    folder: TempDir,
}

impl Newcomer {
    async fn arrive() -> Self {
        let newcomer = Self { folder: TempDir::new().unwrap() };
        fs::create_dir_all(newcomer.path("home/.cargo")).unwrap();
        fs::create_dir(newcomer.path("jasper")).unwrap();
        // What was downloaded for this repository.
        symlink(cargo_home().join("registry"), newcomer.path("home/.cargo/registry")).unwrap();
        fs::write(newcomer.path("home/.cargo/config.toml"), unoptimised()).unwrap();
        let copy = "git -C \"$ROOT\" ls-files -z --cached --others --exclude-standard \
                    | tar -C \"$ROOT\" --null -T - -c | tar -C jasper -x";
        newcomer.succeed("", copy).await;
        newcomer
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A shell in this folder, at a priority a little below that of the other tests, which look at
    /// clocks: at a low one it would get next to nothing beside other busy processes.
    fn shell(&self, folder: &str, script: &str) -> Command {
        let mut command = Command::new("nice");
        command.args(["-n", "2", "bash", "-euo", "pipefail", "-c", script]);
        command.current_dir(self.path(folder)).env_clear().env("ROOT", ROOT);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.path("home")).env("RUSTUP_HOME", rustup_home());
        // One for all programs, so that what they use in common is built once, and only once.
        command.env("CARGO_TARGET_DIR", self.path("target"));
        command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }

    /// What the commands print.
    async fn succeed(&self, folder: &str, script: &str) -> String {
        let run = timeout(LIMIT, self.shell(folder, script).output());
        let Output { status, stdout, stderr } = run.await.expect(script).unwrap();
        let (said, errors) = (text(&stdout), text(&stderr));
        assert!(status.success(), "{script}\n{said}\n{errors}");
        said
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).expect("there is a home folder")
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from)
}

fn rustup_home() -> PathBuf {
    std::env::var_os("RUSTUP_HOME").map_or_else(|| home().join(".rustup"), PathBuf::from)
}

/// What this repository optimises for its tests, not optimised: that takes longer than it saves
/// here, and an application of another profile would build all libraries again.
fn unoptimised() -> String {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let start = manifest.find("[profile.dev.package]").expect("the manifest has the section");
    let section = manifest[start..].split("\n\n").next().unwrap_or_default();
    section.replace("opt-level = 1", "opt-level = 0")
}

/// A block of code in a page, with the paragraph before it.
struct Block<'p> {
    before: &'p str,
    language: &'p str,
    code: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let (mut before, mut lines) = ("", page.lines());
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let code = lines.by_ref().take_while(|line| *line != "```");
            let code = code.map(|line| format!("{line}\n")).collect();
            blocks.push(Block { before: std::mem::take(&mut before), language, code });
        } else if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

/// The file that a block goes into, named before it: `` `src/main.rs`: ``, or with `, at its end:`.
fn file_of<'p>(block: &Block<'p>) -> Option<(&'p str, bool)> {
    let (file, rest) = block.before.strip_prefix('`')?.split_once('`')?;
    match rest {
        ":" => Some((file, false)),
        ", at its end:" => Some((file, true)),
        _ => None,
    }
}

fn write(folder: &Path, file: &str, code: &str, is_added: bool) {
    let path = folder.join(file);
    let before = if is_added { fs::read_to_string(&path).unwrap() + "\n" } else { String::new() };
    fs::write(path, before + code).unwrap();
}

/// A port that is free until the programs take it, as no other program asks for it.
fn address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("durable://{}", listener.local_addr().unwrap())
}

/// Starts each line of the script as a program of its own, with these variables, and returns once
/// one of them has said this.
async fn until_said(
    newcomer: &Newcomer,
    script: &str,
    variables: &[[(&str, &str); 2]],
    word: &str,
) {
    let mut programs: Vec<Child> = Vec::new();
    for (line, variables) in script.lines().zip(variables) {
        let line = format!("exec {}", line.trim_end_matches('&'));
        let mut command = newcomer.shell("jasper", &line);
        command.envs(variables.iter().copied()).stderr(Stdio::inherit());
        programs.push(command.spawn().unwrap());
    }
    assert_eq!(programs.len(), variables.len(), "{script}");
    let said = programs.iter_mut().map(|program| program.stdout.take().unwrap());
    let mut said: Vec<_> = said.map(|stdout| BufReader::new(stdout).lines()).collect();
    let is_said = async {
        let last = said.last_mut().unwrap();
        while let Some(line) = last.next_line().await.unwrap() {
            if line.starts_with(word) {
                return;
            }
        }
        panic!("{script} ended without `{word}`");
    };
    timeout(LIMIT, is_said).await.expect(word);
    for mut program in programs {
        program.kill().await.unwrap();
    }
}

#[tokio::test]
async fn a_newcomer_gets_what_the_readme_and_the_first_page_show() {
    let newcomer = Newcomer::arrive().await;

    let readme = fs::read_to_string(newcomer.path("jasper/README.md")).unwrap();
    let blocks_of_readme = blocks(&readme);
    let scripts: Vec<_> = blocks_of_readme.iter().filter(|block| block.language == "sh").collect();
    let table = blocks_of_readme.iter().find(|block| block.language == "text").unwrap();
    let [quickstart, ping_pong, tests_run] = &scripts[..] else {
        panic!("the README has {} blocks of commands, and this test knows three", scripts.len());
    };
    assert_eq!(newcomer.succeed("jasper", &quickstart.code).await, table.code);
    let [ponger, pinger] = [address(), address()];
    newcomer.succeed("jasper", "cargo build -p ping_pong").await;
    let of_ponger = [("JASPER_LISTEN", &*ponger), ("JASPER_ENDPOINT_PINGER", &*pinger)];
    let of_pinger = [("JASPER_LISTEN", &*pinger), ("JASPER_ENDPOINT_PONGER", &*ponger)];
    until_said(&newcomer, &ping_pong.code, &[of_ponger, of_pinger], "pong 2").await;
    // That is the command which runs this test.
    assert_eq!(tests_run.code, "tests/run\n");

    follow_the_first_page(&newcomer).await;
}

async fn follow_the_first_page(newcomer: &Newcomer) {
    let page = newcomer.path("jasper/jasper/src/docs/getting_started.md");
    let page = fs::read_to_string(page).unwrap();
    let (mut folder, mut said) = (String::new(), String::new());
    for block in blocks(&page) {
        if let Some((file, is_added)) = file_of(&block) {
            write(&newcomer.path(&folder), file, &block.code, is_added);
        } else if block.language == "sh" {
            said = newcomer.succeed(&folder, &block.code).await;
            if folder.is_empty() {
                // The script has gone there; the versions are those that this repository has tried.
                "shop".clone_into(&mut folder);
                let lock = newcomer.path("shop/Cargo.lock");
                fs::copy(newcomer.path("jasper/Cargo.lock"), lock).unwrap();
            }
        } else if block.language == "text" && block.code.starts_with("orders: ") {
            assert_eq!(said, block.code);
        } else if block.language == "text" {
            make_the_mistake(newcomer, &folder, block.code.trim()).await;
        }
    }
}

/// Removes the attributes of the first handler, and puts them back.
async fn make_the_mistake(newcomer: &Newcomer, folder: &str, error: &str) {
    let file = newcomer.path(folder).join("src/handlers.rs");
    let right = fs::read_to_string(&file).unwrap();
    let wrong = right.replacen("#[handler]\n#[durable]\n", "", 1);
    assert_ne!(wrong, right);
    fs::write(&file, wrong).unwrap();
    let output = newcomer.shell(folder, "cargo build").output().await.unwrap();
    let errors = text(&output.stderr).replace("`messages::PlaceOrder`", "`PlaceOrder`");
    assert!(!output.status.success() && errors.contains(error), "{error}\n{errors}");
    fs::write(&file, right).unwrap();
}

#[tokio::test]
async fn the_handlers_of_a_crate_that_is_named_are_in_the_program() {
    let output = Command::new(program("shop")).output().await.unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: Vec<_> = said.lines().collect();
    let [first, second, third, rest @ ..] = &said[..] else { panic!("{said:?}") };
    assert_eq!(*first, "3 reserved, 2 left");
    // The event is handled beside the sender, which goes on meanwhile.
    let beside = ["2 reserved, 0 left", "sold out, so ten more are ordered: mug"];
    assert!([*second, *third] == beside || [*third, *second] == beside, "{said:?}");
    assert_eq!(rest, ["4 reserved, 6 left", "20 not reserved: only 6 of mug left"]);
}

#[tokio::test]
async fn the_test_broker_says_where_it_is_and_answers_there() {
    let mut command = Command::new(program("servicebus_broker"));
    command.args(["0", "orders", "events/billing"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut broker = command.spawn().unwrap();
    let mut said = BufReader::new(broker.stdout.take().unwrap()).lines();
    let line = timeout(LIMIT, said.next_line()).await.expect("it starts").unwrap().unwrap();
    let place = line.strip_prefix("Endpoint=sb://").and_then(|rest| rest.split(';').next());
    TcpStream::connect(place.expect(&line)).await.unwrap();
    broker.kill().await.unwrap();
}

#[tokio::test]
async fn the_benchmark_runs_to_its_end() {
    let folder = TempDir::new().unwrap();
    for what in ["sqlite", "tcp", "local"] {
        let mut command = Command::new(program("benchmark"));
        command.args([what, "10"]).current_dir(folder.path()).kill_on_drop(true);
        let output = timeout(LIMIT, command.output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    }
}
