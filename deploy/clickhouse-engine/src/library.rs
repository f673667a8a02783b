//! The only unsafe code: `libchdb.so`, loaded at run time, behind safe types.
//!
//! Signatures follow the library's public C header `chdb.h` of version 26.7.3.
//! The library is loaded once and never unloaded (its threads and static
//! destructors outlive any owner). One [`Connection`] runs one statement at a
//! time, which borrowing enforces; connections of several threads run in
//! parallel. Every call blocks. This file must not know HTTP.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::ptr;

use bytes::Bytes;

/// What the library said went wrong, in ClickHouse's own words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EngineError(pub(crate) String);

/// The loaded library; lives until the process ends.
pub(crate) struct Library {
    api: Api,
}

/// One session with its own settings and current database.
pub(crate) struct Connection {
    library: &'static Library,
    handle: *mut *mut c_void,
}

/// A finished statement's output and counts.
pub(crate) struct Output {
    pub(crate) bytes: Bytes,
    pub(crate) rows_read: u64,
    pub(crate) rows_written: u64,
    pub(crate) bytes_written: u64,
}

/// A running SELECT; dropping it cancels what is left.
pub(crate) struct Select<'c> {
    connection: &'c mut Connection,
    result: *mut c_void,
}

/// An open INSERT; dropping it without `finish` discards what was not yet
/// written as a block.
pub(crate) struct Insert<'c> {
    library: &'static Library,
    stream: *mut c_void,
    connection: PhantomData<&'c mut Connection>,
}

/// Named values for `{name:Type}` placeholders.
pub(crate) type Params = [(String, String)];

#[repr(C)]
struct Analysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

type Names = *const *const c_char;
type Lengths = *const usize;
type Run = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    usize,
    *const c_char,
    usize,
    Names,
    Lengths,
    Names,
    Lengths,
    usize,
) -> *mut c_void;

struct Api {
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut *mut c_void,
    close: unsafe extern "C" fn(*mut *mut c_void),
    query: Run,
    select: Run,
    select_fetch: unsafe extern "C" fn(*mut c_void, *mut c_void) -> *mut c_void,
    select_cancel: unsafe extern "C" fn(*mut c_void, *mut c_void),
    insert: Run,
    insert_append: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> c_int,
    insert_done: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    insert_error: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    insert_destroy: unsafe extern "C" fn(*mut c_void),
    result_buffer: unsafe extern "C" fn(*mut c_void) -> *const u8,
    result_length: unsafe extern "C" fn(*mut c_void) -> usize,
    result_error: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    result_rows_read: unsafe extern "C" fn(*mut c_void) -> u64,
    result_rows_written: unsafe extern "C" fn(*mut c_void) -> u64,
    result_bytes_written: unsafe extern "C" fn(*mut c_void) -> u64,
    result_destroy: unsafe extern "C" fn(*mut c_void),
    classify: unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int,
    signals: unsafe extern "C" fn(c_int),
}

impl Library {
    /// Loads the file and resolves every function before the first use, so
    /// that a library of another version fails here and not in a query.
    pub(crate) fn load(path: &Path) -> Result<&'static Self, EngineError> {
        // SAFETY: running the initialisers of a file the operator named as the
        // engine is the purpose; the handle is leaked, so symbols stay valid.
        let file = unsafe { libloading::Library::new(path) }
            .map_err(|error| EngineError(format!("{} cannot be loaded: {error}", path.display())))?;
        let file = Box::leak(Box::new(file));
        let api = Api::resolve(file).map_err(|error| {
            EngineError(format!(
                "{} lacks a function of chdb 26.7.3 ({error}); install {}",
                path.display(),
                crate::PACKAGE
            ))
        })?;
        // SAFETY: called before any connection, as the header asks; it only
        // keeps the library from installing signal handlers.
        unsafe { (api.signals)(0) };
        Ok(Box::leak(Box::new(Self { api })))
    }

    /// Opens a session; the first one boots the engine with `arguments`
    /// (`--name=value`), later ones take query settings from theirs.
    pub(crate) fn connect(&'static self, arguments: &[String]) -> Result<Connection, EngineError> {
        let owned = arguments
            .iter()
            .map(|argument| CString::new(argument.as_str()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| EngineError("Code: 36. DB::Exception: a setting contains a zero byte".into()))?;
        let mut pointers: Vec<_> = owned.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len())
            .map_err(|_| EngineError("Code: 36. DB::Exception: too many settings".into()))?;
        // SAFETY: `count` zero-terminated strings that outlive the call, which copies them.
        let handle = unsafe { (self.api.connect)(count, pointers.as_mut_ptr()) };
        if handle.is_null() {
            return Err(EngineError(
                "Code: 36. DB::Exception: the engine refused the session, a setting has a value \
                 that does not fit (BAD_ARGUMENTS)"
                    .into(),
            ));
        }
        Ok(Connection { library: self, handle })
    }

    /// Takes ownership of a result handle and frees it.
    fn output(&self, result: *mut c_void) -> Result<Output, EngineError> {
        let api = &self.api;
        if result.is_null() {
            return Err(EngineError("the engine returned no result".into()));
        }
        // SAFETY: `result` is a live handle of this library that only this
        // function holds; buffer and error text live until it is destroyed,
        // and both are copied before that.
        unsafe {
            let outcome = match text((api.result_error)(result)) {
                Some(message) => Err(EngineError(message)),
                None => {
                    let (start, length) = ((api.result_buffer)(result), (api.result_length)(result));
                    let bytes = if start.is_null() || length == 0 {
                        Bytes::new()
                    } else {
                        Bytes::copy_from_slice(std::slice::from_raw_parts(start, length))
                    };
                    Ok(Output {
                        bytes,
                        rows_read: (api.result_rows_read)(result),
                        rows_written: (api.result_rows_written)(result),
                        bytes_written: (api.result_bytes_written)(result),
                    })
                }
            };
            (api.result_destroy)(result);
            outcome
        }
    }
}

impl Connection {
    /// Runs one statement to its end and returns all output.
    pub(crate) fn query(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<Output, EngineError> {
        let result = self.run(self.library.api.query, sql, format, params);
        self.library.output(result)
    }

    /// Starts a SELECT whose output is fetched piece by piece.
    pub(crate) fn select(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<Select<'_>, EngineError> {
        let api = &self.library.api;
        let result = self.run(api.select, sql, format, params);
        if result.is_null() {
            return Err(EngineError("the engine returned no result".into()));
        }
        // SAFETY: a live handle; the text is copied before the handle is freed.
        let failure = unsafe { text((api.result_error)(result)) };
        if let Some(message) = failure {
            // SAFETY: the handle is not used after this.
            unsafe { (api.result_destroy)(result) };
            return Err(EngineError(message));
        }
        Ok(Select { connection: self, result })
    }

    /// Opens an INSERT. `sql` is the statement without FORMAT and data.
    pub(crate) fn insert(&mut self, sql: &[u8], format: &str, params: &Params) -> Result<Insert<'_>, EngineError> {
        let library = self.library;
        let stream = self.run(library.api.insert, sql, format, params);
        let insert = Insert { library, stream, connection: PhantomData };
        match insert.failure() {
            Some(message) => Err(EngineError(message)),
            None => Ok(insert),
        }
    }

    /// How many executable statements `sql` holds (0 when it does not parse),
    /// and whether they only read.
    pub(crate) fn classify(&mut self, sql: &[u8]) -> Result<(u32, bool), EngineError> {
        let struct_size = u32::try_from(size_of::<Analysis>()).unwrap_or(16);
        let mut analysis = Analysis { struct_size, statement_count: 0, flags: 0, query_class: 0 };
        // SAFETY: an open session, a buffer with its length, and an out
        // structure whose size is written in it.
        let state = unsafe {
            (self.library.api.classify)(self.raw(), sql.as_ptr().cast(), sql.len(), ptr::null(), 0, &raw mut analysis)
        };
        if state != 0 {
            return Err(EngineError("the engine could not analyse the statement".into()));
        }
        Ok((analysis.statement_count, analysis.query_class == 0))
    }

    fn raw(&self) -> *mut c_void {
        // SAFETY: `handle` points to the session pointer until it is closed in `drop`.
        unsafe { *self.handle }
    }

    fn run(&mut self, call: Run, sql: &[u8], format: &str, params: &Params) -> *mut c_void {
        let names: Vec<_> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<_> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<_> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<_> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: an open session; every buffer comes with its length and
        // outlives the call, which copies what it keeps.
        unsafe {
            call(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle came from `connect` and is closed once; streams
        // borrow the connection and are gone.
        unsafe { (self.library.api.close)(self.handle) };
    }
}

impl Select<'_> {
    /// The next piece of output; empty bytes mean the end.
    pub(crate) fn fetch(&mut self) -> Result<Bytes, EngineError> {
        let library = self.connection.library;
        // SAFETY: an open session and the stream it runs, used by this thread only.
        let piece = unsafe { (library.api.select_fetch)(self.connection.raw(), self.result) };
        library.output(piece).map(|output| output.bytes)
    }
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        let api = &self.connection.library.api;
        // SAFETY: cancelling a finished stream does nothing; the handle is
        // destroyed once and not used again.
        unsafe {
            (api.select_cancel)(self.connection.raw(), self.result);
            (api.result_destroy)(self.result);
        }
    }
}

impl Insert<'_> {
    /// Gives data to the engine; blocks while the engine is behind.
    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        // SAFETY: a live stream and a buffer that the call copies.
        let state = unsafe { (self.library.api.insert_append)(self.stream, data.as_ptr().cast(), data.len()) };
        if state == 0 {
            return Ok(());
        }
        Err(EngineError(self.failure().unwrap_or_else(|| "the engine stopped the insert".into())))
    }

    /// Commits; the rows are stored once this returns `Ok`.
    pub(crate) fn finish(self) -> Result<Output, EngineError> {
        // SAFETY: a live stream, finished once; `drop` then frees the handle.
        let result = unsafe { (self.library.api.insert_done)(self.stream) };
        self.library.output(result)
    }

    fn failure(&self) -> Option<String> {
        // SAFETY: a live stream; the text is copied while the stream lives.
        unsafe { text((self.library.api.insert_error)(self.stream)) }
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once; an unfinished stream is cancelled by the call.
        unsafe { (self.library.api.insert_destroy)(self.stream) };
    }
}

/// Ends the process without destructors: the engine's static ones race its own
/// threads.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Gives standard input to the caller and the library an empty one: a
/// statement with `input()` would read it, and wait for its end.
pub(crate) fn take_standard_input() -> std::io::Result<File> {
    let own = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let empty = File::open("/dev/null")?;
    // SAFETY: both descriptors are open; 0 is replaced before anything reads it.
    match unsafe { libc::dup2(empty.as_raw_fd(), 0) } {
        0 => Ok(own),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// # Safety
/// `message` is null or a zero-terminated string that lives during the call.
unsafe fn text(message: *const c_char) -> Option<String> {
    if message.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

impl Api {
    fn resolve(file: &'static libloading::Library) -> Result<Self, libloading::Error> {
        // SAFETY: each type below is the signature of that name in `chdb.h`
        // 26.7.3, and the library is never unloaded.
        unsafe {
            Ok(Self {
                connect: *file.get(b"chdb_connect\0")?,
                close: *file.get(b"chdb_close_conn\0")?,
                query: *file.get(b"chdb_query_with_params_n\0")?,
                select: *file.get(b"chdb_stream_query_with_params_n\0")?,
                select_fetch: *file.get(b"chdb_stream_fetch_result\0")?,
                select_cancel: *file.get(b"chdb_stream_cancel_query\0")?,
                insert: *file.get(b"chdb_stream_insert_with_params_n\0")?,
                insert_append: *file.get(b"chdb_stream_append\0")?,
                insert_done: *file.get(b"chdb_stream_done\0")?,
                insert_error: *file.get(b"chdb_stream_insert_error\0")?,
                insert_destroy: *file.get(b"chdb_destroy_insert_stream\0")?,
                result_buffer: *file.get(b"chdb_result_buffer\0")?,
                result_length: *file.get(b"chdb_result_length\0")?,
                result_error: *file.get(b"chdb_result_error\0")?,
                result_rows_read: *file.get(b"chdb_result_rows_read\0")?,
                result_rows_written: *file.get(b"chdb_result_rows_written\0")?,
                result_bytes_written: *file.get(b"chdb_result_bytes_written\0")?,
                result_destroy: *file.get(b"chdb_destroy_query_result\0")?,
                classify: *file.get(b"chdb_classify_query_n\0")?,
                signals: *file.get(b"chdb_set_signal_handlers_enabled\0")?,
            })
        }
    }
}
