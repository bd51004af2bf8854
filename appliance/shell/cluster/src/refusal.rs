//! What an error means for the plan, and what people may read of it.
//!
//! The class never follows from the status code alone: 409 and 422 have several meanings, 403 is
//! also what quotas and webhooks answer, and an unreachable webhook is a 500.
//!
//! API servers quote what they refuse. Structured values are cut from every message, and of a
//! Secret only the paths of the refused fields are shown.

use fyr_model::ObjectKey;
use fyr_plan::{ErrorClass, StepError};
use kube::core::Status;
use kube::core::response::StatusCause;

use crate::immutable;
use crate::requests::RequestError;

/// Longest message kept, in characters: outcomes are stored and shown in tables.
const MESSAGE_CHARS_MAX: usize = 1_024;

/// Longest value of a field that is shown. Numbers, names and images fit; documents do not.
const VALUE_CHARS_MAX: usize = 100;

/// Most causes shown of one refusal; the first ones are enough to act on.
const CAUSES_MAX: usize = 5;

/// Says what an error means for the object `key`.
pub(crate) fn step_error(error: &RequestError, key: &ObjectKey) -> StepError {
    let class = match error {
        RequestError::Refused(status) => classify(status, key),
        RequestError::Gateway { .. } | RequestError::Deadline(_) | RequestError::Malformed(_) => {
            ErrorClass::Transient
        }
        RequestError::Connection { .. } | RequestError::CircuitOpen { .. } => {
            ErrorClass::Unreachable
        }
        RequestError::TooLarge { .. } | RequestError::Request(_) => ErrorClass::Invalid,
    };
    let text = match error {
        RequestError::Refused(status) => message(status, key),
        other => other.to_string(),
    };
    StepError { class, message: cut(&text, MESSAGE_CHARS_MAX) }
}

fn classify(status: &Status, key: &ObjectKey) -> ErrorClass {
    let message = status.message.as_str();
    if is_denial(message) {
        return ErrorClass::Denied;
    }
    if message.contains("failed calling webhook") {
        return ErrorClass::Transient;
    }
    if names_another_object(status) {
        return ErrorClass::Stale;
    }
    match status.code {
        403 if is_terminating(status) => ErrorClass::NoNamespace,
        // What else is 403 is said by admission: quotas, limit ranges, pod security.
        403 if !is_missing_right(message) => ErrorClass::Denied,
        401 | 403 => ErrorClass::Forbidden,
        404 => absent(status, key),
        409 => ErrorClass::Stale,
        422 if immutable::is_cause(status) => ErrorClass::Immutable,
        408 | 429 => ErrorClass::Transient,
        500.. if !is_misfit(message) => ErrorClass::Transient,
        _ => ErrorClass::Invalid,
    }
}

/// A manifest that does not fit the schema of its kind: server-side apply answers 500 without a
/// reason.
fn is_misfit(message: &str) -> bool {
    message.starts_with("failed to create typed patch object")
        || message.starts_with("failed to convert new object")
}

fn is_denial(message: &str) -> bool {
    (message.contains("admission webhook") && message.contains("denied the request"))
        || (message.contains("ValidatingAdmissionPolicy") && message.contains("denied request"))
}

fn is_terminating(status: &Status) -> bool {
    causes(status).any(|cause| cause.reason == "NamespaceTerminating")
        || status.message.contains("because it is being terminated")
}

/// The form of every authorizer's refusal: `User "x" cannot patch resource "deployments" …`.
fn is_missing_right(message: &str) -> bool {
    message.contains(" cannot ") && message.contains(" resource \"")
}

fn absent(status: &Status, key: &ObjectKey) -> ErrorClass {
    let details = status.details.as_ref();
    let what = details.map_or("", |details| details.kind.as_str());
    let name = details.map_or("", |details| details.name.as_str());
    if what == "namespaces" && key.kind != "Namespace" {
        return ErrorClass::NoNamespace;
    }
    if !name.is_empty() && name == key.name {
        return ErrorClass::Stale;
    }
    ErrorClass::NoSuchKind
}

/// Our uid precondition failed: the API server calls it an immutable field of the metadata.
fn names_another_object(status: &Status) -> bool {
    causes(status).any(|cause| cause.field == "metadata.uid")
}

fn causes(status: &Status) -> impl Iterator<Item = &StatusCause> {
    status.details.iter().flat_map(|details| &details.causes)
}

fn message(status: &Status, key: &ObjectKey) -> String {
    let secret = key.group.is_empty() && key.kind == "Secret";
    let refused_values = matches!(status.code, 400 | 422 | 500);
    if secret && (refused_values || is_denial(&status.message)) {
        return secret_message(status);
    }
    let mut shown: Vec<String> = causes(status)
        .filter(|_| status.code == 422)
        .take(CAUSES_MAX)
        .map(|cause| match cause.field.as_str() {
            "" => without_value(&cause.message),
            field => format!("{field}: {}", without_value(&cause.message)),
        })
        .collect();
    if shown.is_empty() {
        shown.push(without_structures(&status.message));
    }
    let hidden = causes(status).count().saturating_sub(CAUSES_MAX);
    if hidden > 0 && status.code == 422 {
        shown.push(format!("and {hidden} more"));
    }
    shown.join("; ")
}

/// What may be said about a refused Secret: which fields, and the API server's word for why.
fn secret_message(status: &Status) -> String {
    let fields: Vec<String> = causes(status)
        .take(CAUSES_MAX)
        .map(|cause| match cause.field.as_str() {
            "" => cause.reason.clone(),
            field => format!("{field}: {}", cause.reason),
        })
        .collect();
    let why = if is_denial(&status.message) {
        "denied by admission"
    } else if status.message.contains("illegal base64 data") {
        "a value is not base64"
    } else if let Some(field) = misfit_field(&status.message) {
        return format!("the Secret was refused: {field} has the wrong type");
    } else if status.reason.is_empty() {
        "it is not valid"
    } else {
        &status.reason
    };
    match fields.as_slice() {
        [] => format!("the Secret was refused: {why}"),
        fields => format!("the Secret was refused: {why} ({})", fields.join("; ")),
    }
}

/// The field of a misfit: `failed to create typed patch object (…): .data.a: expected string, …`.
fn misfit_field(message: &str) -> Option<&str> {
    if !is_misfit(message) {
        return None;
    }
    let (_, rest) = message.split_once("): ")?;
    let (field, _) = rest.split_once(": expected ")?;
    field.starts_with('.').then_some(field)
}

/// Cuts the value out of `Invalid value: VALUE: why`, unless it is short and plain.
fn without_value(cause: &str) -> String {
    let Some((what, rest)) = cause.split_once(" value: ") else {
        return without_structures(cause);
    };
    let Some((value, why)) = rest.rsplit_once(": ") else {
        return without_structures(cause);
    };
    if is_plain(value) { cause.to_owned() } else { format!("{what} value: {why}") }
}

fn is_plain(value: &str) -> bool {
    value.chars().count() <= VALUE_CHARS_MAX
        && !value.contains(['\n', '{', '['])
        && !value.contains("\\n")
}

/// Cuts everything from the first `{` on that opens a quoted object: Go prints whole structures
/// into some messages.
fn without_structures(text: &str) -> String {
    let text = text.split(", got &value.").next().unwrap_or(text);
    match text.find(['{', '\n']) {
        Some(at) => format!("{}…", text.get(..at).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Code, reason, message and details as API servers send them, and what they mean.
    const REFUSALS: &[(u16, &str, &str, &str, ErrorClass)] = &[
        (401, "Unauthorized", "Unauthorized", "{}", ErrorClass::Forbidden),
        (
            403,
            "Forbidden",
            r#"deployments.apps "web" is forbidden: User "fyr" cannot patch resource "deployments" in API group "apps" in the namespace "shop""#,
            "{}",
            ErrorClass::Forbidden,
        ),
        (
            403,
            "Forbidden",
            r#"pods "web" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"#,
            "{}",
            ErrorClass::Denied,
        ),
        (
            403,
            "Forbidden",
            r#"configmaps "web" is forbidden: unable to create new content in namespace shop because it is being terminated"#,
            r#"{"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}"#,
            ErrorClass::NoNamespace,
        ),
        (
            403,
            "Forbidden",
            r#"admission webhook "policy.example" denied the request: no"#,
            "{}",
            ErrorClass::Denied,
        ),
        (
            422,
            "Invalid",
            "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "{}",
            ErrorClass::Denied,
        ),
        (
            500,
            "InternalError",
            r#"Internal error occurred: failed calling webhook "policy.example": failed to call webhook: connection refused"#,
            "{}",
            ErrorClass::Transient,
        ),
        (
            404,
            "NotFound",
            r#"namespaces "shop" not found"#,
            r#"{"kind": "namespaces", "name": "shop"}"#,
            ErrorClass::NoNamespace,
        ),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
            "{}",
            ErrorClass::NoSuchKind,
        ),
        (
            404,
            "NotFound",
            r#"deployments.apps "web" not found"#,
            r#"{"kind": "deployments", "name": "web"}"#,
            ErrorClass::Stale,
        ),
        (409, "Conflict", "the UID in the precondition", "{}", ErrorClass::Stale),
        (
            422,
            "Invalid",
            "invalid",
            r#"{"causes": [{"field": "metadata.uid", "message": "field is immutable"}]}"#,
            ErrorClass::Stale,
        ),
        (
            422,
            "Invalid",
            "invalid",
            r#"{"causes": [{"field": "spec.selector", "message": "x: field is immutable"}]}"#,
            ErrorClass::Immutable,
        ),
        (
            422,
            "Invalid",
            "invalid",
            r#"{"causes": [{"field": "spec.replicas", "message": "must be a number"}]}"#,
            ErrorClass::Invalid,
        ),
        (429, "TooManyRequests", "slow down", "{}", ErrorClass::Transient),
        (503, "ServiceUnavailable", "starting", "{}", ErrorClass::Transient),
        (
            500,
            "",
            "failed to create typed patch object (shop/web; apps/v1): .spec.foo: field not declared in schema",
            "{}",
            ErrorClass::Invalid,
        ),
        (
            500,
            "",
            "failed to convert new object (/key; /v1, Kind=Secret) to proper version: illegal base64 data at input byte 3",
            "{}",
            ErrorClass::Invalid,
        ),
        (400, "BadRequest", "strict decoding error", "{}", ErrorClass::Invalid),
        (413, "RequestEntityTooLarge", "too large", "{}", ErrorClass::Invalid),
    ];

    fn key(kind: &str) -> ObjectKey {
        let [group, kind, namespace, name] = ["", kind, "shop", "web"].map(str::to_owned);
        ObjectKey { group, kind, namespace, name }
    }

    fn refusal(code: u16, reason: &str, message: &str, details: &Value) -> RequestError {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": reason, "message": message, "details": details,
        });
        RequestError::Refused(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_class_follows_from_what_the_api_server_says_and_not_from_its_code() {
        for (code, reason, message, details, expected) in REFUSALS {
            let details = serde_json::from_str(details).unwrap();
            let error = refusal(*code, reason, message, &details);
            let class = step_error(&error, &key("Deployment")).class;
            assert_eq!(class, *expected, "{code} {message}");
        }
    }

    #[test]
    fn what_never_reached_the_cluster_is_unreachable_and_what_it_did_not_answer_is_transient() {
        let reason = || "connection refused".to_owned();
        let late = std::time::Duration::from_secs(30);
        let cases = [
            (RequestError::Connection { reason: reason() }, ErrorClass::Unreachable),
            (RequestError::CircuitOpen { reason: reason() }, ErrorClass::Unreachable),
            (RequestError::Deadline(late), ErrorClass::Transient),
            (RequestError::Gateway { code: 502 }, ErrorClass::Transient),
        ];
        for (error, expected) in cases {
            assert_eq!(step_error(&error, &key("Service")).class, expected, "{error}");
        }
    }

    #[test]
    fn a_refused_secret_shows_its_fields_and_never_a_value() {
        let details = json!({"causes": [{
            "field": "data.password",
            "reason": "FieldValueInvalid",
            "message": "Invalid value: \"hunter2\": must be base64",
        }]});
        let whole = "Secret \"web\" is invalid: data.password: Invalid value: \"hunter2\"";
        for code in [400, 422, 500] {
            let error = refusal(code, "Invalid", whole, &details);
            let shown = step_error(&error, &key("Secret")).message;
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("data.password"), "{shown}");
        }
        let denial = "admission webhook \"p\" denied the request: hunter2 is weak";
        let error = refusal(403, "Forbidden", denial, &json!({}));
        assert!(!step_error(&error, &key("Secret")).message.contains("hunter2"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_by_its_field_and_not_shown() {
        let text = "failed to create typed patch object (/key; /v1, Kind=Secret): .data.p: \
                    expected string, got &value.valueUnstructured{Value:\"hunter2\"}";
        let error = refusal(500, "", text, &json!({}));
        assert_eq!(
            step_error(&error, &key("Secret")).message,
            "the Secret was refused: .data.p has the wrong type",
        );
        let shown = step_error(&error, &key("ConfigMap")).message;
        assert!(shown.ends_with(".data.p: expected string"), "{shown}");
    }

    #[test]
    fn structures_are_cut_from_messages_and_plain_values_stay() {
        let details = json!({"causes": [
            {"field": "spec.selector", "reason": "FieldValueInvalid",
             "message": "Invalid value: {\"matchLabels\":{\"app\":\"web\"}}: field is immutable"},
            {"field": "spec.replicas", "reason": "FieldValueInvalid",
             "message": "Invalid value: -1: must be greater than or equal to 0"},
        ]});
        let error = refusal(422, "Invalid", "whole", &details);
        assert_eq!(
            step_error(&error, &key("Deployment")).message,
            "spec.selector: Invalid value: field is immutable; \
             spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        );
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let error = refusal(400, "BadRequest", &"ü".repeat(5_000), &json!({}));
        let shown = step_error(&error, &key("Deployment")).message;
        assert_eq!(shown.chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
