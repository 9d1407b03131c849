//! A terminal with a program in it, as a shell would run it.
//!
//! Owns the screen that a user would see.
//!
//! Not here: the tests of that view (`tests/it/top.rs`).

use std::{
    cell::RefCell,
    io::{ErrorKind, Read, Write},
    num::NonZeroU16,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use pty_process::{
    Size,
    blocking::{Pts, Pty},
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, kill_process},
    termios::tcgetattr,
};

const SOON: Duration = Duration::from_secs(30);

pub struct Terminal {
    pty: Pty,
    pts: Pts,
    child: Child,
    screen: RefCell<vt100::Parser>,
    /// The terminal's settings before the program started.
    before: String,
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    /// Starts a program in a terminal with this number of columns and rows.
    pub fn start(command: Command, (columns, rows): (u16, u16)) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        fcntl_setfl(&pty, fcntl_getfl(&pty).unwrap() | OFlags::NONBLOCK).unwrap();
        let before = format!("{:?}", tcgetattr(&pty).unwrap());
        let mut shell = pty_process::blocking::Command::new("echo").arg("$ roomcast top");
        shell.spawn_borrowed(&pts).unwrap().wait().unwrap();
        let child = pty_process::blocking::Command::from(command).spawn_borrowed(&pts).unwrap();
        let screen = RefCell::new(vt100::Parser::new(cells(rows), cells(columns), 0));
        Self { pty, pts, child, screen, before }
    }

    /// The visible rows.
    pub fn rows(&self) -> Vec<String> {
        let mut said = [0; 4096];
        let mut screen = self.screen.borrow_mut();
        loop {
            match (&self.pty).read(&mut said) {
                Ok(0) => break,
                Ok(read) => screen.process(&said[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the terminal is read: {error}"),
            }
        }
        let (_, columns) = screen.screen().size();
        screen.screen().rows(0, columns.get()).collect()
    }

    /// Waits until the visible rows fulfil a condition.
    pub async fn becomes(&self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        let began = Instant::now();
        loop {
            let rows = self.rows();
            if is_so(&rows) {
                return;
            }
            assert!(began.elapsed() < SOON, "{what}: {rows:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a text is visible.
    pub async fn shows(&self, text: &str) {
        self.becomes(text, |rows| rows.iter().any(|row| row.contains(text))).await;
    }

    pub fn press(&self, keys: &str) {
        (&self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Resizes the terminal, as a user resizes its window.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        self.rows();
        self.screen.borrow_mut().set_size(cells(rows), cells(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the program's end. Checks that the terminal's settings are restored and that
    /// further output appears below. Returns the exit status and the visible rows.
    pub async fn given_back(mut self) -> (ExitStatus, Vec<String>) {
        let ended = self.ended().await;
        assert_eq!(
            format!("{:?}", tcgetattr(&self.pty).unwrap()),
            self.before,
            "lines are edited and shown as before"
        );
        let mut shell = pty_process::blocking::Command::new("echo").arg("$ what comes next");
        shell.spawn_borrowed(&self.pts).unwrap().wait().unwrap();
        self.shows("$ what comes next").await;
        let screen = self.screen.borrow();
        assert!(
            !screen.screen().alternate_screen() && !screen.screen().hide_cursor(),
            "the shell's own screen"
        );
        drop(screen);
        let rows: Vec<_> = self.rows().into_iter().filter(|row| !row.is_empty()).collect();
        assert_eq!(rows.first().map(String::as_str), Some("$ roomcast top"), "{rows:#?}");
        assert_eq!(rows.last().map(String::as_str), Some("$ what comes next"), "{rows:#?}");
        (ended, rows)
    }

    /// Closes the terminal, like closing its window, and waits for the program's end.
    pub async fn close(self) -> ExitStatus {
        let Self { pty, pts, mut child, .. } = self;
        drop((pty, pts));
        ended(&mut child, || ()).await
    }

    /// Waits for the end of a program that changes nothing in the terminal.
    pub async fn close_when_ended(mut self) -> ExitStatus {
        self.ended().await
    }

    async fn ended(&mut self) -> ExitStatus {
        // A program blocks if its output is not read.
        let Self { pty, child, screen, .. } = self;
        ended(child, || {
            let mut said = [0; 4096];
            while let Ok(read) = (&*pty).read(&mut said) {
                screen.borrow_mut().process(&said[..read]);
            }
        })
        .await
    }

    /// Saves the visible rows under `target/tmp/top/`.
    pub fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("top");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), self.rows().join("\n")).unwrap();
    }
}

async fn ended(child: &mut Child, meanwhile: impl Fn()) -> ExitStatus {
    let began = Instant::now();
    loop {
        meanwhile();
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > SOON {
            child.kill().unwrap();
            panic!("it does not end");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
