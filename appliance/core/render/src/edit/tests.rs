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
    assert_eq!(set("images: []\nnamePrefix: x\n", &["a:b"]), format!("{added}namePrefix: x\n"));
    assert_eq!(set("images:\nnamePrefix: x\n", &["a:b"]), format!("{added}namePrefix: x\n"));
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
    let shared = "images:\n- &x {name: b}\n- *x\n";
    assert!(matches!(set_images(shared, &["b:c"]), Err(EditError::Layout)));
    let flow = "{images: [{name: a, newTag: b}]}\n";
    assert_eq!(set(flow, &["a:c"]), "{images: [{name: a, newTag: c}]}\n");
    assert!(matches!(set_images("{namePrefix: a}\n", &["a:c"]), Err(EditError::Layout)));
}

#[test]
fn a_value_keeps_its_quotes_and_one_that_is_not_written_gets_a_place() {
    let text = "images:\n- name: a\n  newName: 'b'\n  newTag: \"c\"\n  digest:   # none\n";
    assert_eq!(
        set(text, &["a=d:e@f"]),
        "images:\n- name: a\n  newName: 'd'\n  newTag: \"e\"\n  digest: f   # none\n"
    );
}

#[test]
fn of_entries_with_one_name_the_first_stays() {
    let text = "images:\n- name: a\n  newTag: b\n# c\n- name: a\n  newTag: d\nnamePrefix: x\n";
    assert_eq!(
        set(text, &["a=e:*"]),
        "images:\n- name: a\n  newName: e\n  newTag: b\n# c\nnamePrefix: x\n"
    );
    let flow = "images: [{name: a, newTag: b}, {name: a, newTag: c}]\n";
    assert_eq!(set(flow, &["a:d"]), "images: [{name: a, newTag: d}]\n");
}

#[test]
fn a_list_on_one_line_stays_on_one_line() {
    let text = "images: [{name: a, newTag: 'b'}, {newTag: c, name: d}] # e\n";
    assert_eq!(
        set(text, &["a:x", "f:z"]),
        "images: [{name: a, newTag: 'x'}, {newTag: c, name: d}, {name: f, newTag: z}] # e\n"
    );
}

#[test]
fn the_last_field_makes_room_for_another_image() {
    let text = "images:\n- name: a\n  newTag: b\nnamePrefix: x\n";
    assert_eq!(
        set(text, &["a@c", "d:e"]),
        "images:\n- name: a\n  digest: c\n- name: d\n  newTag: e\nnamePrefix: x\n"
    );
}

#[test]
fn the_old_name_of_the_field_and_another_case_are_known() {
    let text = "imageTags:\n- name: a\n  newTag: b\n";
    assert_eq!(set(text, &["a:c"]), "imageTags:\n- name: a\n  newTag: c\n");
    let text = "Images:\n- Name: a\n  newTag: b\n";
    assert_eq!(set(text, &["a:c"]), "Images:\n- Name: a\n  newTag: c\n");
}

#[test]
fn a_comment_beside_an_empty_list_stays() {
    assert_eq!(set("images: # c\n", &["a:b"]), "images: # c\n- name: a\n  newTag: b\n");
    assert_eq!(set("images: [] # c\n", &["a:b"]), "images: # c\n- name: a\n  newTag: b\n");
}

#[test]
fn a_file_that_is_no_kustomization_throughout_is_not_changed() {
    let files =
        ["foo: 1\n", "images: [a]\n", "kind: Pod\nnamePrefix: a\n", "images: [{newTag: 1}]\n"];
    for text in files {
        assert!(matches!(set_images(text, &["a:b"]), Err(EditError::File(_))), "{text}");
    }
    let helm = "helmCharts: [{name: x}]\nimages: [{name: a, newTag: c}]\n";
    assert_eq!(set(helm, &["a:b"]), helm.replace("newTag: c", "newTag: b"));
}

#[test]
fn a_value_that_others_share_is_left_to_people() {
    let text = "images:\n- name: a\n  newTag: &v b\nnamePrefix: *v\n";
    let changed = set_images(text, &["a:c"]);
    assert!(matches!(changed, Err(EditError::Layout)), "{changed:?}");
}
