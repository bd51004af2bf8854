use super::*;

const FILE: &str = "\
# the overlay of production
resources:   # a base
- ../../base
images:
# the shop
- name: shop      # keep me
  newName: registry.example.org/shop
  newTag: \"1.10\" # set by CI
- newTag: v1
  name: side

namePrefix: prod-
";

fn set(text: &str, images: &[&str]) -> String {
    set_images(text, images).unwrap()
}

#[test]
fn a_new_tag_changes_its_value_and_nothing_else() {
    let expected = FILE.replace("\"1.10\"", "\"1.11\"");
    assert_eq!(set(FILE, &["shop=registry.example.org/shop:1.11"]), expected);
    assert_eq!(set(FILE, &["shop=*:1.11"]), expected);
    assert_eq!(set(FILE, &["shop=*:1.10"]), FILE);
}

#[test]
fn a_digest_takes_the_place_of_a_tag() {
    let changed = set(FILE, &["side@sha256:abc"]);
    assert!(changed.contains("- name: side\n  digest: sha256:abc\n\nnamePrefix"), "{changed}");
    let changed = set(FILE, &["shop=*@sha256:abc"]);
    assert!(changed.contains("- name: shop      # keep me\n  digest: sha256:abc\n"), "{changed}");
    assert!(!changed.contains("1.10"), "{changed}");
}

#[test]
fn a_new_image_is_added_at_the_end_of_the_list() {
    let changed = set(FILE, &["new=example.org/new:2", "other:3"]);
    let added = "  name: side\n- name: new\n  newName: example.org/new\n  newTag: \"2\"\n\
                 - name: other\n  newTag: \"3\"\n\nnamePrefix";
    assert!(changed.contains(added), "{changed}");
    let indented = "images:\n  - name: a\n    newTag: b\n";
    assert_eq!(
        set(indented, &["c:d"]),
        "images:\n  - name: a\n    newTag: b\n  - name: c\n    newTag: d\n"
    );
}

#[test]
fn a_file_without_images_gets_them_at_its_end() {
    let added = "images:\n- name: a\n  newTag: b\n";
    assert_eq!(set("resources: []\n", &["a:b"]), format!("resources: []\n{added}"));
    assert_eq!(set("resources: []", &["a:b"]), format!("resources: []\n{added}"));
    assert_eq!(set("images: []\nx: 1\n", &["a:b"]), format!("{added}x: 1\n"));
    assert_eq!(set("images:\nx: 1\n", &["a:b"]), format!("{added}x: 1\n"));
}

#[test]
fn an_item_on_one_line_stays_on_one_line() {
    let text = "images:\n- {name: a, newTag: b} # c\n";
    assert_eq!(set(text, &["a:d"]), "images:\n- {name: a, newTag: d} # c\n");
}

#[test]
fn lines_keep_their_endings() {
    let text = "images:\r\n- name: a\r\n  digest: x\r\n";
    assert_eq!(set(text, &["a:b"]), "images:\r\n- name: a\r\n  newTag: b\r\n");
}

#[test]
fn what_is_no_image_and_what_is_no_kustomization_is_an_error() {
    for image in ["a", "=b:1", "a="] {
        assert!(matches!(set_images(FILE, &[image]), Err(EditError::Image { .. })), "{image}");
    }
    assert!(matches!(set_images("a: [", &["a:b"]), Err(EditError::Yaml(_))));
    assert!(matches!(set_images("- a\n", &["a:b"]), Err(EditError::File(_))));
}

#[test]
fn images_that_cannot_be_changed_alone_are_left_to_people() {
    let shared = "x: &x {name: a, newTag: b}\nimages:\n- *x\n";
    assert!(matches!(set_images(shared, &["a:c"]), Err(EditError::Layout)));
    let flow = "images: [{name: a, newTag: b}]\n";
    assert!(matches!(set_images(flow, &["a:c"]), Err(EditError::Layout)));
}
