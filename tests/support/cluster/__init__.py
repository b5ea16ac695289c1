"""A Kubernetes cluster for tests: real kind, also on a machine that can't pull images and has no Docker.

`python -m tests.support.cluster up|down` (make cluster-up, cluster-down). An engine that pulls images: `plain`. Without one: `local`, which builds all parts from
Debian packages and Go modules: `kubebox` (every Kubernetes component), `programs` (containerd, kind, CNI plugins), `rootfs` (Debian), `engine` (Docker in
namespaces of its own), `node_image`. Either way tests get a `Cluster`: a kubeconfig and a way to load images.
"""
