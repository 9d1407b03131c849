//! A terminal, in which a program runs as a shell would run it, read as it would be seen.

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
    /// How it treats what is typed and printed, before the program came.
    before: String,
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
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

    /// What can be seen, row by row.
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

    /// Waits until what can be seen is so.
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

    /// Waits until a text can be seen.
    pub async fn shows(&self, text: &str) {
        self.becomes(text, |rows| rows.iter().any(|row| row.contains(text))).await;
    }

    pub fn press(&self, keys: &str) {
        (&self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Another size, as if somebody pulled at the window's corner.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        self.rows();
        self.screen.borrow_mut().set_size(cells(rows), cells(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the program has ended, and sees that the terminal is as it was, and that what comes next stands below. Gives what can be seen as well.
    pub async fn given_back(mut self) -> (ExitStatus, Vec<String>) {
        let ended = self.ended().await;
        assert_eq!(format!("{:?}", tcgetattr(&self.pty).unwrap()), self.before, "lines are edited and shown as before");
        let mut shell = pty_process::blocking::Command::new("echo").arg("$ what comes next");
        shell.spawn_borrowed(&self.pts).unwrap().wait().unwrap();
        self.shows("$ what comes next").await;
        let screen = self.screen.borrow();
        assert!(!screen.screen().alternate_screen() && !screen.screen().hide_cursor(), "the shell's own screen");
        drop(screen);
        let rows: Vec<_> = self.rows().into_iter().filter(|row| !row.is_empty()).collect();
        assert_eq!(rows.first().map(String::as_str), Some("$ roomcast top"), "{rows:#?}");
        assert_eq!(rows.last().map(String::as_str), Some("$ what comes next"), "{rows:#?}");
        (ended, rows)
    }

    /// Closes the terminal, as if its window was closed; waits until the program has ended.
    pub async fn close(self) -> ExitStatus {
        let Self { pty, pts, mut child, .. } = self;
        drop((pty, pts));
        ended(&mut child, || ()).await
    }

    /// Waits until a program that changes nothing of the terminal has ended.
    pub async fn close_when_ended(mut self) -> ExitStatus {
        self.ended().await
    }

    async fn ended(&mut self) -> ExitStatus {
        // A program whose output nobody reads does not end.
        let Self { pty, child, screen, .. } = self;
        ended(child, || {
            let mut said = [0; 4096];
            while let Ok(read) = (&*pty).read(&mut said) {
                screen.borrow_mut().process(&said[..read]);
            }
        })
        .await
    }

    /// Keeps what can be seen under `target/tmp/top/`.
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
