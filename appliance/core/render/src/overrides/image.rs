//! Images as an Application writes them: `[old=]new[:tag][@digest]`.

use crate::kustomize::file::ImageRule;

/// Stands for what the kustomization says already.
const KEEP: &str = "*";

/// Reads one image.
pub(crate) fn rule(text: &str) -> Result<ImageRule, String> {
    let (old, new) = match text.split_once('=') {
        Some((old, new)) => (Some(old), new),
        None => (None, text),
    };
    let (rest, digest) = new.split_once('@').unwrap_or((new, ""));
    let is_tag = |tag: &str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        tag == KEEP || tag.chars().all(fits)
    };
    // What follows the last colon of `host:5000/name` is no tag.
    let (name, tag) = rest.rsplit_once(':').filter(|(_, tag)| is_tag(tag)).unwrap_or((rest, ""));
    let nothing_new = old.is_none() && tag.is_empty() && digest.is_empty();
    if name.is_empty() || old == Some("") || nothing_new {
        return Err(format!("{text:?} is not an image: [OLD=]NEW[:TAG][@DIGEST] is expected"));
    }
    let (name, new_name) = match old {
        Some(old) => (old.to_owned(), name.to_owned()),
        None => (name.to_owned(), String::new()),
    };
    let (new_tag, digest) = (tag.to_owned(), digest.to_owned());
    Ok(ImageRule { name, new_name, new_tag, digest, ..ImageRule::default() })
}

/// Puts what `existing` says where `rule` asks to keep it.
pub(crate) fn keep_marked(mut rule: ImageRule, existing: Option<&ImageRule>) -> ImageRule {
    let keep = |part: &mut String, of: fn(&ImageRule) -> &String| {
        if part == KEEP {
            *part = existing.map(of).cloned().unwrap_or_default();
        }
    };
    keep(&mut rule.new_name, |existing| &existing.new_name);
    keep(&mut rule.new_tag, |existing| &existing.new_tag);
    keep(&mut rule.digest, |existing| &existing.digest);
    rule
}
