//! YAML as people write it, which values made up as JSON never look like.

use super::random::Random;

/// A file with some objects, whose names nothing else has.
pub(super) fn text(random: &mut Random) -> &'static str {
    random.pick(&TEXTS)
}

const TEXTS: [&str; 8] = [
    r#"# What is written is what counts.
apiVersion: v1
kind: ConfigMap
metadata:
  name: raw
  annotations: {a: 1.10, b: 0644, c: ~, d: yes, e: 2001-01-01, f: 1e3, g: "q"}
  labels: {on: "on", number: "1"}
data:
  script: |
    #!/bin/sh
    echo "ok"

  folded: >-
    a b
    c
  octal: "0644"
  empty: ""
"#,
    r"apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: raw}
- apiVersion: v1
  kind: Service
  metadata: {name: raw}
  spec: &spec
    ports: [{port: 80}]
    selector: {app: raw}
- apiVersion: v1
  kind: Service
  metadata: {name: raw-too}
  spec: *spec
",
    r"---
# nothing here
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: raw
spec:
  replicas: 0o17
  template:
    spec:
      containers:
        - name: main      # indented
          image: nginx
          resources: &resources
            limits: {cpu: 1, memory: 1Gi}
        - name: more
          image: 'nginx:1.25'
          resources:
            <<: *resources
            requests: {cpu: .5}
---
---
apiVersion: v1
kind: Namespace
metadata: {name: raw}
...
",
    r##"apiVersion: example.org/v1
kind: Backup
metadata: {name: raw}
spec:
  numbers: [0x1F, 0b11, 1_000, 1.0, 1e3, -0, .5, 1e21, 9223372036854775808, 1:30]
  texts: [yes, No, on, "y", ~, null, Null, 1.2.3, 0755x, "1e3", "=", "<<", "- a", "a: b", "#"]
  times:
  - 2001-01-01
  - 2001-12-14t21:59:43.10-05:00
  - "2001-01-01"
  tagged: [!!str 1, !!int "3", !!float 1, !custom x]
  binary: !!binary aGVsbG8=
"##,
    r#"apiVersion: v1
kind: ConfigMap
metadata: {name: raw}
data:
  long: "words that go on and on until the line is longer than a printer of YAML would like it, and further"
  plain: words that go on and on until the line is longer than a printer of YAML would like it, and further
  escapes: "tab\there\nline é \u00e9 \x41"
  keep: |+
    text

  strip: |-
    text
  indented: |2
      deep
    less
  spaces: " leading and trailing "
  quote: 'it''s'
  unicode: ☃ and 😀
"#,
    r"apiVersion: v1
kind: Secret
metadata: {name: raw, labels: {}}
type: Opaque
data: {}
stringData:
  ? complex
  : value
  a10: x
  a9: y
  A: z
  _: u
",
    r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
 "metadata": {"name": "raw", "namespace": "shop"},
	"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"},
 "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}, ]}
"#,
    "apiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: raw\r\ndata:\r\n  windows: |\r\n    one\r\n    two\r\n",
];
