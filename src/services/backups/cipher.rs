//! How a backup is sealed: a stream of chunks, each with the numbers that tie it to its place, its backup and its
//! owner, and the last one marked as such. Nothing of it can be altered, moved, swapped or cut off unnoticed.
//!
//! `PROVOSTB`, version, length and value of the sealed key, chunks. The key is this backup's own, sealed with the
//! institution's data key (the master key for the shared database), so counters are safe as nonces.

use std::io::{self, Read, Write};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::db::Id;

const MAGIC: &[u8; 8] = b"PROVOSTB";
const VERSION: u8 = 1;
/// Plain bytes of every chunk but the last.
const CHUNK: usize = 256 * 1024;
const TAG: usize = 16;
const KEY: usize = 32;
/// Longer than any sealed key.
const MOST_SEALED: usize = 1024;

/// Whose backup it is, and which: bound into every chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// None for the shared database.
    pub institution_id: Option<Id>,
    /// The backup.
    pub backup_id: Id,
}

/// Chunk by chunk.
struct Chunks {
    cipher: XChaCha20Poly1305,
    bound: Vec<u8>,
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; KEY], header: &[u8], binding: Binding) -> Self {
        let mut bound = Sha256::digest(header).to_vec();
        bound.extend_from_slice(binding.institution_id.unwrap_or(Id::NIL).as_bytes());
        bound.extend_from_slice(binding.backup_id.as_bytes());
        Self { cipher: XChaCha20Poly1305::new(key.into()), bound, number: 0 }
    }

    fn next(&mut self, last: bool) -> (XNonce, Vec<u8>) {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&self.number.to_be_bytes());
        let mut bound = self.bound.clone();
        bound.extend_from_slice(&self.number.to_be_bytes());
        bound.push(u8::from(last));
        self.number += 1;
        (XNonce::from(nonce), bound)
    }

    fn seal(&mut self, plain: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let (nonce, bound) = self.next(last);
        let sealed = self.cipher.encrypt(&nonce, Payload { msg: plain, aad: &bound });
        sealed.map_err(|_| io::Error::other("a chunk could not be sealed"))
    }

    fn open(&mut self, sealed: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let (nonce, bound) = self.next(last);
        let plain = self.cipher.decrypt(&nonce, Payload { msg: sealed, aad: &bound });
        plain.map_err(|_| damaged())
    }
}

/// Seals what is written to it. [`Sealer::finish`] writes the end; without it the whole is worth nothing.
pub struct Sealer<W: Write> {
    out: W,
    chunks: Chunks,
    waiting: Zeroizing<Vec<u8>>,
    plain_bytes: u64,
}

impl<W: Write> Sealer<W> {
    /// Begins a backup with a new key, which `wrap` seals.
    ///
    /// # Errors
    /// What `wrap` or `out` says, or no random bytes.
    pub fn new(
        mut out: W,
        binding: Binding,
        wrap: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
    ) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).map_err(|_| io::Error::other("there are no random bytes"))?;
        let sealed = wrap(&*key).map_err(io::Error::other)?;
        let length = u16::try_from(sealed.len()).map_err(io::Error::other)?;
        let mut header = MAGIC.to_vec();
        header.push(VERSION);
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&sealed);
        out.write_all(&header)?;
        let chunks = Chunks::new(&key, &header, binding);
        Ok(Self { out, chunks, waiting: Zeroizing::new(Vec::with_capacity(CHUNK)), plain_bytes: 0 })
    }

    /// Writes the last chunk; returns what was written to, and how much went in.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        let sealed = self.chunks.seal(&self.waiting, true)?;
        self.out.write_all(&sealed)?;
        self.out.flush()?;
        Ok((self.out, self.plain_bytes))
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        // A full chunk waits until there is more: the last one must be known as such.
        if self.waiting.len() == CHUNK {
            let sealed = self.chunks.seal(&self.waiting, false)?;
            self.out.write_all(&sealed)?;
            self.waiting.clear();
        }
        let taken = plain.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&plain[..taken]);
        self.plain_bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens what a [`Sealer`] wrote; an altered or shortened one is an error before its end is reached.
pub struct Opener<R: Read> {
    input: R,
    chunks: Chunks,
    /// The chunk after the present one, as it was read.
    ahead: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the header; `unwrap` opens the sealed key.
    ///
    /// # Errors
    /// When it is no backup, or `unwrap` does not open the key.
    pub fn new(
        mut input: R,
        binding: Binding,
        unwrap: impl FnOnce(&[u8]) -> Result<Zeroizing<Vec<u8>>, String>,
    ) -> io::Result<Self> {
        let mut header = vec![0; MAGIC.len() + 3];
        read_whole(&mut input, &mut header)?;
        if !header.starts_with(MAGIC) {
            return Err(damaged());
        }
        if header[MAGIC.len()] != VERSION {
            return Err(invalid("The backup was written by another version of Provost."));
        }
        let length = usize::from(u16::from_be_bytes([header[MAGIC.len() + 1], header[MAGIC.len() + 2]]));
        if length > MOST_SEALED {
            return Err(damaged());
        }
        let mut sealed = vec![0; length];
        read_whole(&mut input, &mut sealed)?;
        let opened = unwrap(&sealed)
            .map_err(|why| invalid(format!("The backup cannot be opened with this key: {why}.")))?;
        let key: Zeroizing<[u8; KEY]> = Zeroizing::new(opened.as_slice().try_into().map_err(|_| damaged())?);
        header.extend_from_slice(&sealed);
        let chunks = Chunks::new(&key, &header, binding);
        let ahead = read_chunk(&mut input)?;
        Ok(Self { input, chunks, ahead, plain: Zeroizing::default(), at: 0, ended: false })
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() && !self.ended {
            let next = read_chunk(&mut self.input)?;
            let present = std::mem::replace(&mut self.ahead, next);
            self.ended = self.ahead.is_empty();
            self.plain = Zeroizing::new(self.chunks.open(&present, self.ended)?);
            self.at = 0;
        }
        let count = out.len().min(self.plain.len() - self.at);
        out[..count].copy_from_slice(&self.plain[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Counts and digests what passes.
pub struct Digested<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Digested<T> {
    /// Nothing has passed yet.
    pub fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// What it stood before, the digest and the number of bytes.
    pub fn end(self) -> (T, Vec<u8>, u64) {
        (self.inner, self.hash.finalize().to_vec(), self.bytes)
    }
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(data)?;
        self.hash.update(&data[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.hash.update(&out[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// A whole chunk, or what is left of the file.
fn read_chunk(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK + TAG);
    input.take((CHUNK + TAG) as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

fn read_whole(input: &mut impl Read, into: &mut [u8]) -> io::Result<()> {
    input.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => error,
    })
}

fn damaged() -> io::Error {
    invalid("The backup is damaged or was altered. Use another one.")
}

fn invalid(words: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding {
        Binding { institution_id: Some(Id::new()), backup_id: Id::new() }
    }

    fn seal(binding: Binding, plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), binding, |key| Ok(key.to_vec())).unwrap();
        sealer.write_all(plain).unwrap();
        let (sealed, bytes) = sealer.finish().unwrap();
        assert_eq!(bytes, plain.len() as u64);
        sealed
    }

    fn open(binding: Binding, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opener::new(sealed, binding, |key| Ok(Zeroizing::new(key.to_vec())))?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_goes_in_comes_out_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
            let (binding, plain) = (binding(), vec![7; length]);
            assert_eq!(open(binding, &seal(binding, &plain)).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn whatever_is_altered_cut_off_added_or_moved_is_found() {
        let (binding, plain) = (binding(), vec![7; 2 * CHUNK + 100]);
        let sealed = seal(binding, &plain);
        for at in (0..sealed.len()).step_by(9_973).chain(0..60).chain(sealed.len() - 40..sealed.len()) {
            let mut altered = sealed.clone();
            altered[at] ^= 0x10;
            assert!(open(binding, &altered).is_err(), "byte {at}");
        }
        for length in
            [0, 5, 20, 60, sealed.len() - 1, sealed.len() - 116, 43 + CHUNK + TAG, 43 + 2 * (CHUNK + TAG)]
        {
            assert!(open(binding, &sealed[..length]).is_err(), "cut at {length}");
        }
        assert!(open(binding, &[&sealed[..], &[0]].concat()).is_err(), "one byte more");
        let mut swapped = sealed.clone();
        swapped[43..43 + 2 * (CHUNK + TAG)].rotate_left(CHUNK + TAG);
        assert!(open(binding, &swapped).is_err(), "chunks swapped");
    }

    #[test]
    fn it_opens_as_itself_alone() {
        let (mine, plain) = (binding(), vec![7; 100]);
        let sealed = seal(mine, &plain);
        assert!(open(Binding { backup_id: Id::new(), ..mine }, &sealed).is_err());
        assert!(open(Binding { institution_id: Some(Id::new()), ..mine }, &sealed).is_err());
        assert!(open(Binding { institution_id: None, ..mine }, &sealed).is_err());
    }
}
