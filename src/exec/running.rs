//! A command at work that answers in pieces, each with its length in front, for whoever decides on the first while it
//! works on the next.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Cmd, MAX_ANSWER};
use crate::error::{Doing, Error, Result};

/// How often it is looked whether it has ended.
const BETWEEN: Duration = Duration::from_millis(5);

/// Such a command. It is ended when this is dropped.
pub struct Running {
    child: Child,
    shown: String,
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    words: Option<JoinHandle<std::io::Result<Vec<u8>>>>,
}

impl Cmd {
    /// Starts it with `input` on its standard input.
    pub fn start_in_pieces(&self, input: Vec<u8>) -> Result<Running> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawned(command.spawn())?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input says why by itself.
            std::thread::spawn(move || stdin.write_all(&input));
        }
        let (said, pieces) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || split(BufReader::new(stdout), &said));
        }
        let words = child.stderr.take().map(|stderr| std::thread::spawn(move || all(stderr)));
        Ok(Running { child, shown: self.show(), pieces, words })
    }
}

impl Running {
    /// The number of its process group.
    pub fn leader(&self) -> u32 {
        self.child.id()
    }

    /// Its next piece, which it may take so long for; `None` if there is none any more.
    pub fn piece(&self, limit: Duration) -> Result<Option<Vec<u8>>> {
        match self.pieces.recv_timeout(limit) {
            Ok(piece) => piece.map(Some).doing(|| format!("can't read what `{}` says", self.shown)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.late(limit)),
        }
    }

    /// Its end, which may be so far away, and what it complained about.
    pub fn end(&mut self, limit: Duration) -> Result<(ExitStatus, Vec<u8>)> {
        let until = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait().doing(|| format!("can't wait for `{}`", self.shown))? {
                Some(status) => break status,
                None if Instant::now() > until => return Err(self.late(limit)),
                None => std::thread::sleep(BETWEEN),
            }
        };
        let words = self.words.take().and_then(|words| words.join().ok()?.ok());
        Ok((status, words.unwrap_or_default()))
    }

    fn late(&self, limit: Duration) -> Error {
        Error::failed(format!("`{}` did not answer within {} s", self.shown, limit.as_secs()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends each piece on, until there is none any more, or one that is none.
fn split(mut from: impl BufRead, said: &Sender<std::io::Result<Vec<u8>>>) {
    loop {
        let piece = piece(&mut from).transpose();
        let is_last = piece.as_ref().is_none_or(|piece| piece.is_err());
        if piece.is_some_and(|piece| said.send(piece).is_err()) || is_last {
            return;
        }
    }
}

fn piece(from: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let malformed = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned());
    let mut length = String::new();
    if from.take(32).read_line(&mut length)? == 0 {
        return Ok(None);
    }
    let length: u64 = length.trim().parse().map_err(|_| malformed("a piece without its length"))?;
    if length > MAX_ANSWER {
        return Err(malformed("it does not end"));
    }
    let mut piece = Vec::new();
    if from.take(length).read_to_end(&mut piece)? as u64 != length {
        return Err(malformed("half a piece"));
    }
    Ok(Some(piece))
}

/// All that it complains about, of which the beginning is kept: it must not wait for somebody to read.
fn all(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut words = Vec::new();
    from.by_ref().take(MAX_ANSWER).read_to_end(&mut words)?;
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::path::Path;

    fn shell(script: &str) -> Cmd {
        let words = ["-c", script].map(Into::into).to_vec();
        Cmd::new(Path::new("/bin/sh"), words, Vec::new())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pieces_come_one_by_one() {
        let script = "printf '2\\nab'; read -r word; printf '0\\n%s\\n%s' ${#word} $word; echo so >&2; exit 3";
        let mut running = shell(script).start_in_pieces(b"hello\n".to_vec()).unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| running.piece(9 * SECOND).unwrap()).collect();
        assert_eq!(pieces, [&b"ab"[..], b"", b"hello"]);
        let (status, words) = running.end(9 * SECOND).unwrap();
        assert_eq!((status.code(), &words[..]), (Some(3), &b"so\n"[..]));
    }

    #[test]
    fn what_is_no_piece() {
        for script in ["echo x", "printf '3\\nab'", "echo 99999999999999"] {
            let running = shell(script).start_in_pieces(Vec::new()).unwrap();
            assert_eq!(running.piece(9 * SECOND).unwrap_err().kind, Kind::Failed, "{script}");
            assert_eq!(running.piece(9 * SECOND).unwrap(), None, "{script}");
        }
    }

    #[test]
    fn one_that_takes_too_long_is_ended() {
        let mut running = shell("exec sleep 60").start_in_pieces(Vec::new()).unwrap();
        let leader = running.leader();
        assert!(running.piece(SECOND / 100).is_err());
        assert!(running.end(SECOND / 100).is_err());
        drop(running);
        assert!(!Path::new(&format!("/proc/{leader}")).exists());
    }
}
