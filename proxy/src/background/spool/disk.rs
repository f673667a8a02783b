//! The few calls to the disk that can fail in ways worth a test: full, short, broken.
//!
//! One implementation for the product and one, in the tests, that fails on command.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(super) trait Disk: Send + Sync + std::fmt::Debug {
    /// One write(2), perhaps short.
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Cuts a file to a length.
    fn truncate(&self, file: &File, length: u64) -> io::Result<()>;
    /// Forces the content of a file, or the entries of a directory, to the disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Bytes that an unprivileged process may still write to the file system of `directory`.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// The disk of this machine.
#[derive(Debug)]
pub(super) struct Local;

impl Disk for Local {
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
        file.write_at(bytes, at)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        free_bytes(directory)
    }
}

/// Writes all of `bytes`, however short the single writes are.
pub(super) fn write_all_at(disk: &dyn Disk, file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write_at(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                at += written as u64;
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the standard library has no call for the free space of a file system")]
fn free_bytes(directory: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(directory.as_os_str().as_encoded_bytes())?;
    let mut room = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends in NUL and lives through the call; `room` is as large as the call writes.
    if unsafe { libc::statvfs(path.as_ptr(), room.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the whole structure.
    let room = unsafe { room.assume_init() };
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}
