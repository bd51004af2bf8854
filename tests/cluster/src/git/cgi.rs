//! One request to `git http-backend`, which speaks CGI (RFC 3875).

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;

use futures::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::command::git;

/// An answer's body, sent as it is produced.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// Read of an answer at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Runs the program for one request on the repositories in `folder`; what it complains of is added
/// to `log`.
pub(super) async fn run(
    folder: &Path,
    log: &Path,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let errors = File::options().create(true).append(true).open(log)?;
    let (parts, body) = request.into_parts();
    let mut command = Command::from(git(folder));
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true);
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = parts.headers.get(header).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn()?;
    let input = child.stdin.take().expect("stdin is a pipe");
    let output = child.stdout.take().expect("stdout is a pipe");
    tokio::spawn(feed(body, input));
    respond(child, BufReader::new(output)).await
}

/// Carries the request's body. The program may end without reading all of it.
async fn feed(mut body: Incoming, mut input: ChildStdin) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref()
            && input.write_all(data).await.is_err()
        {
            return;
        }
    }
}

/// Turns what the program prints, headers and then the body, into an answer.
async fn respond(child: Child, mut output: BufReader<ChildStdout>) -> io::Result<Response<Body>> {
    let mut response = Response::builder().status(StatusCode::OK);
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("git http-backend ended without an answer"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let invalid = || io::Error::other(format!("git http-backend sent the header {line:?}"));
        let (name, value) = line.split_once(':').ok_or_else(invalid)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            response = response.status(code.parse::<StatusCode>().map_err(|_| invalid())?);
        } else {
            let name: HeaderName = name.parse().map_err(|_| invalid())?;
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            // Set by the server itself, from the body.
            if name != header::CONTENT_LENGTH {
                response = response.header(name, value);
            }
        }
    }
    let body = stream::try_unfold((child, output), async |(child, mut output)| {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = output.read(&mut chunk).await?;
        chunk.truncate(count);
        Ok((count > 0).then(|| (Frame::data(Bytes::from(chunk)), (child, output))))
    });
    response.body(BodyExt::boxed(StreamBody::new(body))).map_err(io::Error::other)
}
