//! Turns a source tree into Kubernetes objects: kustomize and plain directories.
