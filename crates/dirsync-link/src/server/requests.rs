//! The requests of the link, each answered from the desk.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use dirsync_directory::PostofficeName;
use dirsync_seal::{Content, ContentHash, LoginLines};
use dirsync_transit::Piece;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::answers::{holding, slices};
use super::connections::Visitor;
use super::desk::{Desk, DeskError, Held, Served};
use super::room::{Room, Taken};
use super::uploads::Moving;
use crate::wire::{self, Files, ListedFile};

/// How long a waiting request goes on before it looks itself: a command in another process rings no bell.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How much room a request takes at a time, in bytes.
const STEP_BYTES: u64 = 64 * 1024;

/// All requests.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let for_requestors = Router::new()
        .route("/v1/messages", get(news))
        .route("/v1/messages/{name}", put(leave).get(fetch).delete(taken))
        .route("/v1/bodies/{hash}", get(body).head(held).patch(take_part))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), known_only));
    Router::new()
        .route("/v1/tickets", post(ticket))
        .merge(for_requestors)
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "the link has no such request") })
        .with_state(shared)
}

/// An answer that does not do what was asked, with the reason in words.
struct Refusal {
    status: StatusCode,
    why: String,
    headers: Vec<(axum::http::HeaderName, String)>,
}

type Answer = Result<Response, Refusal>;

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), headers: Vec::new() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.why + "\n").into_response();
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        let status = match error {
            DeskError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            DeskError::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<wire::NotOfLink> for Refusal {
    fn from(error: wire::NotOfLink) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

/// Asks the desk, on a thread that may wait for a disk.
async fn ask<R: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&dyn Desk) -> Served<R> + Send + 'static,
) -> Result<R, Refusal> {
    let desk = Arc::clone(&shared.desk);
    let asked = tokio::task::spawn_blocking(move || question(&*desk)).await;
    match asked {
        Ok(served) => Ok(served?),
        Err(_) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed")),
    }
}

/// 401 with a fresh nonce.
fn who_is_there(shared: &Shared, why: &str) -> Refusal {
    let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, why);
    match shared.gate.nonce() {
        Ok(nonce) => refusal.headers.push((WWW_AUTHENTICATE, wire::challenge(&nonce))),
        Err(error) => return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
    refusal
}

/// `POST /v1/tickets`.
async fn ticket(
    State(shared): State<Arc<Shared>>,
    Extension(visitor): Extension<Arc<Visitor>>,
    request: Request,
) -> Answer {
    let limits = &shared.limits;
    let (login, _) = whole(limits.request_time, None, wire::LOGIN_BYTES_MAX, request).await?;
    let login = LoginLines::read(&login)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let asked = Arc::clone(&shared);
    let ticket = ask(&shared, move |desk| Ok(asked.gate.ticket(login, desk))).await?;
    match ticket {
        Ok((requestor, ticket)) => {
            not_too_many(visitor.is_known(&requestor, &shared), &requestor)?;
            Ok(([(CACHE_CONTROL, "no-store")], ticket + "\n").into_response())
        }
        Err(why) => Err(who_is_there(&shared, &why)),
    }
}

/// Lets only those in who have a ticket, and not too many requests of one of them at once.
async fn known_only(
    State(shared): State<Arc<Shared>>,
    Extension(visitor): Extension<Arc<Visitor>>,
    mut request: Request,
    next: Next,
) -> Answer {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let holder = given.and_then(wire::ticket_of).and_then(|ticket| shared.gate.holder(ticket));
    let holder = holder.filter(|requestor| shared.desk.is_served(requestor));
    let Some(requestor) = holder else {
        return Err(who_is_there(&shared, "a ticket is needed"));
    };
    not_too_many(visitor.is_known(&requestor, &shared), &requestor)?;
    let Some(turn) = shared.turns.begin(&requestor) else {
        let why = format!("{requestor} has too many requests under way");
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, why));
    };
    request.extensions_mut().insert(requestor);
    // An answer that is not out yet is one under way.
    Ok(next.run(request).await.map(|body| holding(body, turn)))
}

/// Turns away a connection of a requestor that has enough of them.
fn not_too_many(is_known: bool, requestor: &PostofficeName) -> Result<(), Refusal> {
    if is_known {
        return Ok(());
    }
    let why = format!("{requestor} has too many connections");
    let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, why);
    refusal.headers.push((CONNECTION, "close".to_owned()));
    Err(refusal)
}

/// The whole body of a request, whose size it has to say. It takes `room` as it comes, so that somebody who says a large
/// size and sends nothing takes none. A stranger takes none: there are few, and what they send is small.
async fn whole(
    time: Duration,
    room: Option<&Room>,
    bytes_max: u64,
    request: Request,
) -> Result<(Vec<u8>, Taken), Refusal> {
    let end = Instant::now() + time;
    let Some(size) = number(request.headers(), CONTENT_LENGTH.as_str()) else {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "Content-Length is missing"));
    };
    if size > bytes_max {
        let why = format!("{size} bytes; at most {bytes_max} are taken");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let (mut bytes, mut taken) = (Vec::new(), Taken::default());
    let mut body = request.into_body();
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if let Some(room) = room {
                let needed = (bytes.len() + data.len()) as u64;
                taken.grow(room, needed.next_multiple_of(STEP_BYTES).min(size)).await;
            }
            bytes.extend_from_slice(&data);
        }
        Ok::<(), Refusal>(())
    };
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request was too slow");
    timeout_at(end, read).await.map_err(late)??;
    Ok((bytes, taken))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    wire::decimal(headers.get(name)?.to_str().ok()?)
}

fn needed(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    let missing = || Refusal::new(StatusCode::BAD_REQUEST, format!("{name} is missing"));
    number(headers, name).ok_or_else(missing)
}

/// `GET /v1/messages`.
async fn news(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    RawQuery(query): RawQuery,
) -> Answer {
    let wait = wire::wait_of(query.as_deref())?;
    files_within(&shared, &requestor, wait).await
}

/// The files that wait for a requestor, as soon as there are some or the time is over.
async fn files_within(shared: &Arc<Shared>, requestor: &PostofficeName, wait: Duration) -> Answer {
    let end = Instant::now() + wait;
    let bell = shared.hub.bell(requestor);
    loop {
        let rung = bell.notified();
        tokio::pin!(rung);
        // What comes after this look rings.
        rung.as_mut().enable();
        let asked = requestor.clone();
        let files = ask(shared, move |desk| files(desk, &asked)).await?;
        let now = Instant::now();
        if !files.0.is_empty() || now >= end || shared.is_stopping() {
            let headers = [(CONTENT_TYPE, wire::FILES_TYPE), (CACHE_CONTROL, "no-store")];
            return Ok((headers, files.to_bytes()).into_response());
        }
        let look = (now + LOOK_AGAIN).min(end);
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(look) => {}
            () = shared.stopping() => {}
        }
    }
}

/// The files that wait for a requestor. Small ones are read, in their order, up to the first that has no room.
fn files(desk: &dyn Desk, requestor: &PostofficeName) -> Served<Files> {
    let mut room = wire::INLINE_BYTES_MAX;
    let mut files = Vec::new();
    for (name, bytes) in desk.waiting(requestor)?.into_iter().take(wire::LISTED_MAX) {
        let mut content = None;
        if bytes <= room {
            content = desk.read(requestor, &name)?;
        }
        room = if content.is_some() { room - bytes } else { 0 };
        let bytes = content.as_ref().map_or(bytes, |content| content.len() as u64);
        files.push(ListedFile { name, bytes, content });
    }
    Ok(Files(files))
}

/// `PUT /v1/messages/NAME`.
async fn leave(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let wait = wire::wait_of(query.as_deref())?;
    if !wire::is_of_link(&name) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "no file of the link has this name"));
    }
    let time = shared.limits.request_time;
    let room = Some(&shared.requests);
    let (bytes, room) = whole(time, room, wire::FILE_BYTES_MAX, request).await?;
    let sender = requestor.clone();
    let answers = ask(&shared, move |desk| {
        let answers = desk.deliver(&sender, &name, &bytes);
        drop((bytes, room));
        answers
    });
    let answers = answers.await?;
    files_within(&shared, &requestor, if answers { wait } else { Duration::ZERO }).await
}

/// `GET /v1/messages/NAME`.
async fn fetch(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(name): Path<String>,
) -> Answer {
    let gone = || Refusal::new(StatusCode::NOT_FOUND, "it is gone");
    let (asked, wanted) = (requestor.clone(), name.clone());
    let size = ask(&shared, move |desk| {
        let files = desk.waiting(&asked)?;
        Ok(files.into_iter().find(|(name, _)| *name == wanted).map(|(_, bytes)| bytes))
    });
    let size = size.await?.ok_or_else(gone)?;
    let room = shared.answers.take(size).await;
    let bytes = ask(&shared, move |desk| desk.read(&requestor, &name)).await?.ok_or_else(gone)?;
    let headers = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, holding(slices(bytes), room)).into_response())
}

/// `DELETE /v1/messages/NAME`.
async fn taken(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(name): Path<String>,
) -> Answer {
    if wire::is_of_link(&name) {
        ask(&shared, move |desk| desk.taken(&requestor, &name)).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/bodies/SHA256`.
async fn body(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let hash = wire::hash_of(&hash)?;
    let tag = wire::etag(&hash);
    let gone = || Refusal::new(StatusCode::NOT_FOUND, "no such body travels to this requestor");
    let asked = requestor.clone();
    let body = ask(&shared, move |desk| desk.body(&asked, &hash)).await?.ok_or_else(gone)?;
    let header =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let has_changed = header(IF_RANGE).is_some_and(|known| known != tag);
    let asked = header(RANGE).filter(|_| !has_changed);
    let asked = asked.and_then(|range| wire::range_of(range, body.bytes)).unwrap_or(0..body.bytes);
    if asked.is_empty() {
        let mut refusal =
            Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "the body has none of these bytes");
        refusal.headers.push((CONTENT_RANGE, format!("bytes */{}", body.bytes)));
        return Err(refusal);
    }
    let range = asked.start..asked.end.min(asked.start + wire::PART_BYTES_MAX);
    let part = Piece { body, at: range.start, bytes: range.end - range.start };
    let room = shared.answers.take(part.bytes).await;
    let bytes =
        ask(&shared, move |desk| desk.read_part(&requestor, &part)).await?.ok_or_else(gone)?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (ETAG, tag),
        (CONTENT_RANGE, wire::content_range(&range, body.bytes)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, holding(slices(bytes), room)).into_response())
}

/// The state of an upload, as resumable uploads say it.
fn upload(status: StatusCode, held: u64, size: u64) -> Response {
    let is_complete = if held == size { "?1" } else { "?0" };
    let headers = [
        (wire::UPLOAD_OFFSET, held.to_string()),
        (wire::UPLOAD_LENGTH, size.to_string()),
        (wire::UPLOAD_COMPLETE, is_complete.to_owned()),
        (CACHE_CONTROL.as_str(), "no-store".to_owned()),
    ];
    (status, headers).into_response()
}

/// `HEAD /v1/bodies/SHA256`.
async fn held(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(hash): Path<String>,
) -> Answer {
    let hash = wire::hash_of(&hash)?;
    let _moving = only_one(&shared, &requestor, &hash).await?;
    match ask(&shared, move |desk| desk.held(&requestor, &hash)).await? {
        Some(Held { body, bytes }) => Ok(upload(StatusCode::NO_CONTENT, bytes, body.bytes)),
        None => Err(Refusal::new(StatusCode::NOT_FOUND, "nothing has come of this body")),
    }
}

/// `PATCH /v1/bodies/SHA256`.
async fn take_part(
    State(shared): State<Arc<Shared>>,
    Extension(requestor): Extension<PostofficeName>,
    Path(hash): Path<String>,
    request: Request,
) -> Answer {
    let hash = wire::hash_of(&hash)?;
    let at = needed(request.headers(), wire::UPLOAD_OFFSET)?;
    let size = needed(request.headers(), wire::UPLOAD_LENGTH)?;
    let body = Content { bytes: size, hash };
    let moving = only_one(&shared, &requestor, &hash).await?;
    // By itself, since this request ends with its connection.
    let kept = tokio::spawn(async move {
        let asked = requestor.clone();
        let known = ask(&shared, move |desk| desk.held(&asked, &hash)).await?;
        let known = known.filter(|held| held.body == body).map_or(0, |held| held.bytes);
        if at != known {
            return Ok(upload(StatusCode::CONFLICT, known, size));
        }
        let bytes_max = wire::PART_BYTES_MAX.min(size.saturating_sub(at));
        let (bytes, room) = as_far_as_it_comes(&shared, bytes_max, request, &moving).await?;
        let part = Piece { body, at, bytes: bytes.len() as u64 };
        let held = ask(&shared, move |desk| {
            if part.bytes > 0 {
                desk.take_part(&requestor, &part, &bytes)?;
            }
            drop((bytes, room));
            desk.held(&requestor, &hash)
        });
        Ok(upload(StatusCode::NO_CONTENT, held.await?.map_or(0, |held| held.bytes), size))
    });
    let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed");
    kept.await.map_err(failed)?
}

/// Ends older requests about a body, whose lines may be dead. What had come with them is kept first.
async fn only_one(
    shared: &Shared,
    requestor: &PostofficeName,
    body: &ContentHash,
) -> Result<Moving, Refusal> {
    let begun = timeout(shared.limits.request_time, shared.uploads.begin(requestor, body)).await;
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "another request moves this body");
    begun.map_err(late)
}

/// The bytes of a request that came before it was cut off, or its time was over: each of them is kept.
async fn as_far_as_it_comes(
    shared: &Shared,
    bytes_max: u64,
    request: Request,
    moving: &Moving,
) -> Result<(Vec<u8>, Taken), Refusal> {
    let end = Instant::now() + shared.limits.request_time;
    let size = number(request.headers(), CONTENT_LENGTH.as_str()).unwrap_or(bytes_max);
    if size > bytes_max {
        let why = format!("{size} bytes; at most {bytes_max} are taken");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let (mut bytes, mut taken) = (Vec::new(), Taken::default());
    let mut body = request.into_body();
    // A body without an end is left when it is over the limit.
    while bytes.len() < most {
        let frame = tokio::select! {
            frame = timeout_at(end, body.frame()) => frame,
            () = moving.is_superseded() => break,
        };
        let Ok(Some(Ok(frame))) = frame else { break };
        let Ok(data) = frame.into_data() else { continue };
        let data = data.get(..most - bytes.len()).unwrap_or(&data);
        let needed = (bytes.len() + data.len()) as u64;
        let room = taken.grow(&shared.requests, needed.next_multiple_of(STEP_BYTES).min(size));
        if timeout_at(end, room).await.is_err() {
            break;
        }
        bytes.extend_from_slice(data);
    }
    Ok((bytes, taken))
}
